"""What a run writes down: metrics, sample videos, losses."""
