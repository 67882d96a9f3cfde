"""Networks as exported engines: graphs, ONNX, TensorRT, and the comparison with PyTorch."""
