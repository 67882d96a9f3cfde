"""What the trainer eats: manifests, curated footage, and pairs of coarse and fine video."""
