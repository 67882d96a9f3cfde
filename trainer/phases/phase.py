"""What the loop wants of a phase: which parameters train, and how a batch becomes a loss.

A phase may train several networks in turn (a student and its critic); each is a part with an
optimiser, an EMA and a place in the checkpoint of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.logs.loss_meter import Losses
from trainer.logs.sample_videos import Sampled
from trainer.settings import OptimConfig


class PhaseClass(Protocol):
    """The class of a phase. `config` is of the schema that stands beside it in the table.

    `check` refuses settings that it cannot have by `ValueError`.
    """

    name: str
    needs_control: bool

    def check(self, config: Any) -> None:
        """Called before anything is built."""

    def __call__(self, config: Any, world: World) -> Phase:
        """Build it for this process."""


class Phase(Sampled, Protocol):
    """One phase, built for this process. `parts` are FSDP roots where weights are sharded."""

    name: str

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

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """Write the renderer, on the first process, from a part's trained weights (whole, EMA
        where there is one, by their names in the part).
        """
