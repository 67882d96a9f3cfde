"""Directs scenes: what stands and moves where, what the camera sees, what it is called."""
