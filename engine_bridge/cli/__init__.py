"""The commands of the engine's side: demo and play."""
