"""What networks are built from: attention, fused ops, FP8 products. Fast ones have a reference."""
