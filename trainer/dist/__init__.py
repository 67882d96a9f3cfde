"""Several processes: who shares weights, clips and tokens."""
