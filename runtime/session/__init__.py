"""A session: frames in, chunks out, replies back, in the order of the wire."""
