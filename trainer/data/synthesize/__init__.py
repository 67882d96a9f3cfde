"""`c2r data synthesize`: pairs of coarse and fine clips of the sample world."""
