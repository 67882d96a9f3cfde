"""`c2r eval`: measures of rendered videos, reported with how the videos were made."""
