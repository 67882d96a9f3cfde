"""The losses on output frames that phases share, and the discriminator that takes part in them.

Shapes: B samples, F frames, H W rows and columns of a crop, N frames that are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from c2r.models.configs import PIXELS_PER_LATENT
from c2r.models.seeded import seeded
from trainer.networks.discriminator import (
    PatchDiscriminator,
    judge_losses,
    maker_losses,
    smoothness,
)
from trainer.networks.lpips import AlexLpips, packaged_weights
from trainer.phases.pixel_losses import grid_losses, motion_losses, perceptual_losses
from trainer.phases.settings import JudgeConfig, PixelLossConfig
from trainer.sample_random import noise, plain_random

COARSE_CHANNELS = 3
JUDGE = "judge"
"""The discriminator's part of a phase."""


@dataclass(frozen=True)
class Seen:
    """What the losses see: crops `[B, F, 3, H, W]` float32 in [0, 1] of the output, the fine and
    the coarse clip, and motion `[B, F, 2, H, W]`.
    """

    output: Tensor
    fine: Tensor
    coarse: Tensor
    motion: Tensor


class FrameLosses:
    """Losses of output frames by their settings. `judge`: the discriminator, None without one.
    `scale`: output pixels a pixel of the DiT's frames.

    `ValueError` when the perceptual network's weights are not installed.
    """

    def __init__(
        self,
        pixels: PixelLossConfig,
        judge: JudgeConfig,
        *,
        scale: int,
        seed: int,
        device: torch.device,
    ) -> None:
        self.pixels, self.settings, self.seed = pixels, judge, seed
        self.tile = PIXELS_PER_LATENT * scale
        self.distance: AlexLpips | None = None
        if pixels.perceptual:
            self.distance = AlexLpips(pixels.alexnet or packaged_weights()).to(device)
        self.judge: PatchDiscriminator | None = None
        if judge.weight:
            with seeded(seed):
                self.judge = PatchDiscriminator(COARSE_CHANNELS, judge.width).to(device)

    def with_judge(self, parts: Mapping[str, nn.Module]) -> Mapping[str, nn.Module]:
        """A phase's parts and the discriminator, if there is one."""
        return parts if self.judge is None else {**parts, JUDGE: self.judge}

    def judges(self, step: int, steps: int) -> bool:
        """Whether a step of so many is the discriminator's own."""
        since = step - self._begin(steps)
        return self.judge is not None and since >= 0 and since % self.settings.every == 0

    def _begin(self, steps: int) -> int:
        return int(self.settings.begin * steps)

    def of_maker(self, seen: Seen, draws: Sequence[int], step: int, steps: int) -> Tensor:
        """The loss of each sample `[B]` of what makes the frames. Without autocast: distances
        between normalised features are small differences.
        """
        weights = self.pixels
        with torch.autocast(seen.output.device.type, enabled=False):
            total = weights.l1 * (seen.output - seen.fine).abs().flatten(1).mean(1)
            if weights.motion:
                moved = motion_losses(seen.output, seen.fine, seen.motion)
                total = total + weights.motion * moved
            if weights.grid:
                total = total + weights.grid * grid_losses(seen.output, seen.fine, self.tile)
            output, fine, coarse = self._looked_at(seen, draws)
            count = len(draws)
            if self.distance is not None:
                apart = perceptual_losses(self.distance, output, fine)
                total = total + weights.perceptual * apart.unflatten(0, (count, -1)).mean(1)
            if self.judge is not None and step >= self._begin(steps):
                # Without gradients of its own: they would stay until its turn and be added there.
                fixed = {name: value.detach() for name, value in self.judge.named_parameters()}
                verdicts = functional_call(self.judge, fixed, (output, coarse))
                wanted = maker_losses(verdicts).unflatten(0, (count, -1)).mean(1)
                total = total + self.settings.weight * wanted
        return total

    def of_judge(self, seen: Seen, draws: tuple[int, ...]) -> Tensor:
        """The discriminator's loss of each sample `[B]`."""
        assert self.judge is not None
        with torch.autocast(seen.output.device.type, enabled=False):
            output, fine, coarse = self._looked_at(seen, draws)
            count = len(draws)
            rows = judge_losses(self.judge(fine, coarse), self.judge(output, coarse))
            if self.settings.smooth:
                shape = (len(fine) // count, *fine.shape[1:])
                drawn = noise(self.seed, draws, shape, "judge").flatten(0, 1).to(fine)
                moved = smoothness(self.judge, fine, coarse, self.settings.moved * drawn)
                rows = rows + self.settings.smooth * moved
        return rows.unflatten(0, (count, -1)).mean(1)

    def _looked_at(self, seen: Seen, draws: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
        """Frames `[N, 3, H, W]` of output, fine and coarse, sample after sample."""
        frames = seen.output.shape[1]
        count = min(self.pixels.looked_at, frames)
        places = torch.tensor(
            [
                sorted(plain_random(self.seed, draw, "looked at").sample(range(frames), count))
                for draw in draws
            ],
            device=seen.output.device,
        )
        rows = torch.arange(len(draws), device=places.device)[:, None]
        output, fine, coarse = (
            clip[rows, places].flatten(0, 1) for clip in (seen.output, seen.fine, seen.coarse)
        )
        return output, fine, coarse
