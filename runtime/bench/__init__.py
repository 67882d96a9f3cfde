"""Measuring speed, and on a GPU correctness first."""
