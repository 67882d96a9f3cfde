"""What builds exported engines: the targets, and TensorRT's builders behind one call."""
