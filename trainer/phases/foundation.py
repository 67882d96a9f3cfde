"""What the phases that make a small renderer's own parts share: VAE, DINO, text encoder.

Large presets load published ones; the tiny preset's are trained here, on one process, and written
as files that `start.vae`, `start.dino` and `start.text` of the later phases take.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.networks.start import Start
from trainer.settings import OptimConfig, TrainConfig

Run = TypeVar("Run", bound=TrainConfig)


class FoundationPhase(Generic[Run]):
    """Training of one network of a renderer; see `Phase` for the interface.

    `PART` names the network that trains; heads that only training needs are beside it in `parts`
    and are not written.
    """

    name = ""
    needs_control = False
    only_control = False
    PART = ""

    def __init__(self, config: Run, world: World) -> None:
        self.check(config)
        if world.layout.size > 1:
            raise ValueError(
                f"phase {self.name} trains a small network on one process; start it without "
                "torchrun"
            )
        self.config, self.world = config, world
        self.start = Start(config)
        self.network = self.build().to(world.device)

    @classmethod
    def check(cls, config: Run) -> None:
        """`ValueError` for settings that this phase cannot have."""
        if config.data.manifest is None:
            raise ValueError(f"phase {cls.name} learns from frames: give data.manifest")

    def build(self) -> nn.Module:
        """The network with its heads, in float32, on the CPU."""
        raise NotImplementedError

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {self.PART: self.network}

    def optim(self, part: str) -> OptimConfig:
        return self.config.optim

    def turn(self, step: int) -> str:
        return self.PART

    def decoded(self, batch: Batch) -> Tensor:
        """The clips as they are, `[B, F, 3, H, W]` uint8 on the CPU."""
        assert batch.frames is not None
        return batch.frames.cpu()


def pixels(batch: Batch, device: torch.device) -> Tensor:
    """The batch's frames `[B, F, 3, H, W]` in [0, 1] on the device."""
    assert batch.frames is not None, "a manifest gives frames"
    return batch.frames.to(device).float() / 255
