"""C2R: a real-time neural renderer for games. Networks, streaming state, weights and wire."""
