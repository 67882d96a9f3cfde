"""Features of the control: kept where they cannot change, computed again where they can."""

from __future__ import annotations

from dataclasses import replace

import torch

from trainer.distill.feature_cache import FeatureCache


def encoded_by(cache: FeatureCache, monkeypatch) -> list[int]:
    """How many frames each call of a DINO takes, from now on."""
    counts: list[int] = []
    plain = cache.encode

    def encode(key, frames):
        counts.append(frames.shape[1])
        return plain(key, frames)

    monkeypatch.setattr(cache, "encode", encode)
    return counts


def test_coarse_clips_of_a_cache_are_encoded_once(loop_of, monkeypatch):
    loop = loop_of("autoregress", data={"cg_ratio": 1.0})
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    assert len(set(batch.clips)) == 2
    sizes = []
    nbytes = phase.feature_cache.encode(phase.own_dino, batch.control).nbytes // 2
    for most in (0, nbytes, 2 * nbytes):
        cache = FeatureCache(torch.device("cpu"), torch.float32, most)
        key = cache.add(phase.start)
        assert cache.add(phase.start) == key, "one DINO, once"
        counts = encoded_by(cache, monkeypatch)
        first, again = cache.features(batch)[key], cache.features(batch, 5)[key]
        assert torch.equal(first[:, :5], again)
        torch.testing.assert_close(first, phase.feature_cache.encode(key, batch.control))
        sizes.append(list(counts))
        real = replace(batch, sources=("real", "real"), control=255 - batch.control)
        assert not torch.equal(cache.features(real)[key], first), "in other colours each time"
        later = replace(batch, starts=(4, 4), control=255 - batch.control)
        assert not torch.equal(cache.features(later)[key], first), "another window of the clip"
    assert sizes == [[9, 9, 5, 5], [9, 9, 9, 9], [9, 9]]
