"""The networks, one a file, and the presets that give their shapes."""
