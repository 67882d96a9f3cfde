"""Networks as training needs them: found, assembled, sharded, written."""
