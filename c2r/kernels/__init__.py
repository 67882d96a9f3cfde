"""Kernels that networks are built from: attention, fused pieces, FP8 products; each with a twin."""
