"""Features of the control: remembered where they cannot change, made anew where they can."""

from __future__ import annotations

from dataclasses import replace

import torch

from trainer.distill.feature_cache import Sight


def spied(sight: Sight, monkeypatch) -> list[int]:
    """How many frames each look of a DINO took, from now on."""
    seen: list[int] = []
    plain = sight.see

    def see(key, frames):
        seen.append(frames.shape[1])
        return plain(key, frames)

    monkeypatch.setattr(sight, "see", see)
    return seen


def test_films_of_a_cache_are_looked_at_once(loop_of, monkeypatch):
    loop = loop_of("autoregress", data={"cg_ratio": 1.0})
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    assert len(set(batch.clips)) == 2
    sizes = []
    nbytes = phase.sight.see(phase.own_sight, batch.control).nbytes // 2
    for most in (0, nbytes, 2 * nbytes):
        sight = Sight(torch.device("cpu"), torch.float32, most)
        key = sight.add(phase.start)
        assert sight.add(phase.start) == key, "one DINO, once"
        seen = spied(sight, monkeypatch)
        first, again = sight.look(batch)[key], sight.look(batch, 5)[key]
        assert torch.equal(first[:, :5], again)
        torch.testing.assert_close(first, phase.sight.see(key, batch.control))
        sizes.append(list(seen))
        real = replace(batch, sources=("real", "real"), control=255 - batch.control)
        assert not torch.equal(sight.look(real)[key], first), "in other colours each time"
    assert sizes == [[9, 9, 5, 5], [9, 9, 9, 9], [9, 9]]
