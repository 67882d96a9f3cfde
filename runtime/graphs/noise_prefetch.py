"""A chunk's noise, made on the CPU while the device works on the chunk before.

Noise follows from seed, latent and step, so that of the next chunk is known in advance, unless the
seed changes; then it is made again. On the CPU, because generators of different devices give
different numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.streaming.rollout import Rollout


@dataclass(frozen=True)
class NoiseRequest:
    """What a chunk's noise follows from; `rows`: noise levels of the chunk."""

    seeds: tuple[int, ...]
    first: int
    latents: int
    rows: int


class NoisePrefetch:
    """Holds the noise of one chunk. `pinned`: in memory that the device can fetch itself.

    The noise is pinned, since a copy from pageable memory would make the host wait for the device.
    PyTorch hands a pinned block out again only when the copies from it are over, so the noise of
    the next chunk never overwrites one that is still being read.
    """

    def __init__(self, rollout: Rollout, *, pinned: bool) -> None:
        self._rollout = rollout
        self._pinned = pinned
        self._ready: tuple[NoiseRequest, Tensor] | None = None

    def take(self, request: NoiseRequest) -> Tensor:
        """Noise `[rows, B, n, C, rows, columns]` on the CPU."""
        if self._ready is None or self._ready[0] != request:
            self.prepare(request)
        assert self._ready is not None
        return self._ready[1]

    def prepare(self, request: NoiseRequest) -> None:
        """Make now what will be taken."""
        steps = range(request.rows)
        noise = self._rollout.noise_of(request.seeds, request.first, request.latents, steps)
        self._ready = request, noise.pin_memory() if self._pinned else noise


def host_frames(count: int, height: int, width: int, *, pinned: bool) -> Tensor:
    """Memory for 8-bit frames on the host; pinned blocks are reused once nobody holds them."""
    return torch.empty(count, height, width, 3, dtype=torch.uint8, pin_memory=pinned)
