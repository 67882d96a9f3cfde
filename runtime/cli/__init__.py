"""The commands of the GPU's side: serve, render, replay, bench."""
