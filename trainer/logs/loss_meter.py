"""Losses of a step, averaged over micro-batches and processes: all, by source, by timestep."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from trainer.data.sampler import SOURCES
from trainer.dist.parallel import World

BANDS = 4
NAMES = (
    "loss",
    *(f"loss/{source}" for source in SOURCES),
    *(f"loss/t{1000 * band // BANDS}-{1000 * (band + 1) // BANDS}" for band in range(BANDS)),
)


@dataclass(frozen=True)
class Losses:
    """The losses of a micro-batch. `total` is what `backward` is called on, the rest is logged.

    `samples`: loss of each sample `[B]`; `levels`: its noise level `[B]`; `sources`: its source.
    """

    total: Tensor
    samples: Tensor
    levels: Tensor
    sources: tuple[str, ...]


class LossMeter:
    """Collects the losses of one step."""

    def __init__(self) -> None:
        self._rows: list[Tensor] = []

    def add(self, losses: Losses) -> None:
        """The samples of a micro-batch. Sums stay on the device: nothing waits for it here."""
        samples = losses.samples.detach().double()
        band = (losses.levels * BANDS).long().clamp(0, BANDS - 1)
        masks = [torch.ones_like(samples)]
        for source in SOURCES:
            own = [float(name == source) for name in losses.sources]
            masks.append(torch.tensor(own, device=samples.device, dtype=samples.dtype))
        masks += [(band == number).to(samples.dtype) for number in range(BANDS)]
        mask = torch.stack(masks)
        # Outside a mask counts as nothing, NaN included: 0 x NaN would not.
        kept = torch.where(mask > 0, samples, torch.zeros_like(samples))
        self._rows.append(torch.stack([kept.sum(1), mask.sum(1)]))

    def means(self, world: World) -> dict[str, float]:
        """Means over all samples of all processes; what had none is left out. Waits."""
        sums, counts = world.total(torch.stack(self._rows).sum(0)).cpu().unbind(0)
        pairs = zip(NAMES, sums.tolist(), counts.tolist(), strict=True)
        return {name: total / count for name, total, count in pairs if count}
