"""Engines of an exported renderer: how they are named, run, and stood in for the networks."""
