"""What makes the renderer: data, training and evaluation."""
