"""Eight and four bits for the DiT's linear layers: calibration, and what it costs in error."""
