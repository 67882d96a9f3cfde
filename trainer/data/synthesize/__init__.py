"""Sets of paired clips of a seeded city: `c2r data synthesize`."""
