"""A chunk's noise, drawn on the CPU while the device works on the chunk before.

Noise follows from seed, latent and step, so the next chunk's is known unless somebody changes the
seed; then it is drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.streaming.rollout import Rollout


@dataclass(frozen=True)
class NoiseOrder:
    """What a chunk's noise follows from; `rows`: noise levels of the chunk."""

    seeds: tuple[int, ...]
    first: int
    latents: int
    rows: int


class NoiseAhead:
    """Remembers the noise of one chunk. `pinned`: in memory that the device can fetch itself."""

    def __init__(self, rollout: Rollout, *, pinned: bool) -> None:
        self._rollout = rollout
        self._pinned = pinned
        self._drawn: tuple[NoiseOrder, Tensor] | None = None

    def take(self, order: NoiseOrder) -> Tensor:
        """Noise `[rows, B, n, C, rows, columns]` on the CPU."""
        if self._drawn is None or self._drawn[0] != order:
            self.prepare(order)
        assert self._drawn is not None
        return self._drawn[1]

    def prepare(self, order: NoiseOrder) -> None:
        """Draw now what will be taken."""
        steps = range(order.rows)
        drawn = self._rollout.draw(order.seeds, order.first, order.latents, steps)
        self._drawn = order, drawn.pin_memory() if self._pinned else drawn


def host_frames(count: int, height: int, width: int, *, pinned: bool) -> Tensor:
    """Room for 8-bit frames on the host; pinned memory is reused once nobody holds it."""
    return torch.empty(count, height, width, 3, dtype=torch.uint8, pin_memory=pinned)
