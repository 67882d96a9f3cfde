"""The networks, one per file, and the presets that give their shapes."""
