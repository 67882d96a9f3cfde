"""What the loop wants of a phase: which parameters train, and how a batch becomes a loss.

A phase may train several networks in turn (a student and its critic); each is a part with an
optimiser, an EMA and a place in the checkpoint of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.settings import OptimConfig, TrainConfig


@dataclass(frozen=True)
class Losses:
    """What a micro-batch gave. `total` is gone back through; the rest is for the log.

    `samples`: loss of each sample `[B]`; `levels`: its noise level `[B]`; `sources`: its source.
    """

    total: Tensor
    samples: Tensor
    levels: Tensor
    sources: tuple[str, ...]


class PhaseClass(Protocol):
    """What makes a phase. `check` refuses settings that it cannot have by `ValueError`."""

    name: str
    needs_control: bool

    def check(self, config: TrainConfig) -> None:
        """Called before anything is built."""

    def __call__(self, config: TrainConfig, world: World) -> Phase:
        """Build it for this process."""


class Phase(Protocol):
    """One phase, built for this process. `parts` are FSDP roots where weights are sharded."""

    name: str
    needs_control: bool
    """Whether batches come with the control's pixels."""
    only_control: bool
    """Whether it learns from prompts and control alone, so that batches need no fine video."""

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        """The networks that train, by name; their frozen parameters want no gradient."""

    def optim(self, part: str) -> OptimConfig:
        """How a part is optimised."""

    def turn(self, step: int) -> str:
        """The part that step `step` trains."""

    def losses(self, batch: Batch, step: int) -> Losses:
        """The loss of a micro-batch on this process's device, for the part whose turn it is.

        Called under autocast. Every random number follows from `batch.draws`.
        """

    def pictures(self, batch: Batch) -> Tensor:
        """Samples `[B, F, 3, H, W]` uint8 on the CPU for a batch's prompts and control; every
        process calls it with the same batch.
        """

    def decoded(self, batch: Batch) -> Tensor:
        """The clips of a batch as their latents show them, `[B, F, 3, H, W]` uint8, on the CPU."""

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """Write the renderer, on the first process, from a part's trained weights (whole, EMA
        where there is one, by their names in the part).
        """
