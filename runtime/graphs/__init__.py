"""The pipeline as recorded CUDA graphs over static buffers."""
