"""Sessions on disk, and how a replay compares with its recording."""
