"""The measures of `c2r eval`, by what they measure."""
