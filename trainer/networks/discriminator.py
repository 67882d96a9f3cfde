"""A patch discriminator: tells real frames from made ones, patch by patch, given a condition.

Convolutions alone, so that any crop fits and each verdict sees 68 pixels (PatchGAN; Isola
et al., 2017, arXiv:1611.07004). No norm layer and no spectral norm: their running numbers would
have to be in checkpoints; `smoothness` is what keeps the verdicts gentle. Strided convolutions look
at blurred features (Zhang, 2019, arXiv:1904.11486): verdicts that depend on where the stride's grid
lies would be answered by a grid in the frames.

Shapes: N frames, C channels, H W rows and columns, h w those of the verdicts.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STAGES = 3
"""Halvings of the size."""
SLOPE = 0.2


class PatchDiscriminator(nn.Module):
    """Frames `[N, 3, H, W]` and their condition `[N, C, H, W]`, both in [0, 1] -> verdicts
    `[N, h, w]` float32; above 0 is real. H and W are 32 at least.
    """

    blur: Tensor

    def __init__(self, condition: int, width: int) -> None:
        super().__init__()
        widths = [width * min(4, 2**stage) for stage in range(STAGES + 1)]
        self.first = nn.Conv2d(3 + condition, width, 3, padding=1)
        self.stages = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths))
        self.last = nn.Conv2d(widths[-1], 1, 3, padding=1)
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("blur", row[:, None] * row[None, :], persistent=False)

    def forward(self, frames: Tensor, condition: Tensor) -> Tensor:
        x = 2 * torch.cat([frames, condition], dim=1) - 1
        x = F.leaky_relu(self.first(x), SLOPE)
        for stage in self.stages:
            x = F.leaky_relu(stage(self._halved(x)), SLOPE)
        verdicts: Tensor = self.last(x)
        return verdicts[:, 0].float()

    def _halved(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.blur.to(x.dtype).expand(channels, 1, 4, 4)
        return F.conv2d(F.pad(x, (1, 1, 1, 1), "reflect"), kernel, stride=2, groups=channels)


Judge = Callable[[Tensor, Tensor], Tensor]


def judge_losses(real: Tensor, fake: Tensor) -> Tensor:
    """The discriminator's hinge loss of each frame `[N]`, from verdicts `[N, h, w]` on both."""
    return F.relu(1 - real).flatten(1).mean(1) + F.relu(1 + fake).flatten(1).mean(1)


def maker_losses(fake: Tensor) -> Tensor:
    """What the maker of the frames is to lower, `[N]`, from verdicts `[N, h, w]`."""
    return -fake.flatten(1).mean(1)


def smoothness(judge: Judge, real: Tensor, condition: Tensor, noise: Tensor) -> Tensor:
    """How much verdicts on real frames move when `noise` is added to them, squared, `[N]`.

    R1 by a finite difference (Lin et al., 2025, arXiv:2501.08316, equation 5): no gradient of a
    gradient is needed. `noise` `[N, 3, H, W]` has the deviation that is wanted.
    """
    moved = judge(real + noise, condition) - judge(real, condition)
    return moved.square().flatten(1).mean(1)
