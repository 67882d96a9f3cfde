"""Builders of engines, one way each behind one interface, and what can be read back from a plan."""
