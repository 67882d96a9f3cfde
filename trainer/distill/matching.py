"""Distribution matching (DMD; Yin et al., 2023, arXiv:2311.18828), as Self-Forcing has it.

The student's clip is noised; where teacher (real) and critic (fake) see different clean clips in
it, the student moves from the fake towards the real.

Shapes: B samples, T latents, C channels, h w latent rows and columns.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from c2r.streaming.schedule import TRAIN_STEPS, shift_level
from trainer.sample_random import plain_random
from trainer.settings import DmdConfig


def score_levels(
    dmd: DmdConfig, shift: float, seed: int, draws: Sequence[int], purpose: str
) -> Tensor:
    """Noise levels `[B]` of the scores: uniform, shifted, clamped to `lowest` and `highest`."""
    least, most = dmd.lowest / TRAIN_STEPS, dmd.highest / TRAIN_STEPS
    plain = [plain_random(seed, draw, purpose).random() for draw in draws]
    return torch.tensor([min(max(shift_level(level, shift), least), most) for level in plain])


def matching_gradient(x: Tensor, real: Tensor, fake: Tensor) -> Tensor:
    """`(x0_fake - x0_real) / mean|x - x0_real|`, the mean over a sample; all `[B, T, C, h, w]`."""
    axes = tuple(range(1, x.ndim))
    scale = (x - real).abs().mean(axes, keepdim=True)
    return (fake - real) / scale


def matching_losses(x: Tensor, gradient: Tensor) -> Tensor:
    """`0.5 MSE(x, stopgrad(x - gradient))` of each sample, `[B]`: its gradient in `x` is
    `gradient` over a sample's count of numbers.
    """
    x, target = x.float(), (x - gradient).detach().float()
    return 0.5 * (x - target).square().flatten(1).mean(1)
