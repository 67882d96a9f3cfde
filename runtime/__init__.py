"""The GPU's side of C2R: server, sessions, pipeline and the commands that run them."""
