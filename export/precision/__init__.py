"""FP8 for the DiT's linear layers: calibration, what it costs in error, and the ONNX rewrite."""
