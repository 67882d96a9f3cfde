"""The measures of `c2r eval`, one file each."""
