"""The data of training: manifests, curated footage, pairs of coarse and fine video, caches."""
