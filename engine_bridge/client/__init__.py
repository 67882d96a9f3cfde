"""The client that games use: frames out, rendered frames in, over any connection."""
