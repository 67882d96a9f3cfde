"""Engines that C2R ships a source for. Each folder stands alone and needs its own extra."""
