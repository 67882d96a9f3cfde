"""Networks as engines: graphs, ONNX, TensorRT, and the comparison with PyTorch."""
