"""The pipeline as captured CUDA graphs over static buffers."""
