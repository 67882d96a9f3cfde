"""Losses between frames: perceptual distance at two scales, and consistency along the motion.

Perceptual losses leave a fine grid in what they train, since their networks stride: an error that
falls between the strides costs nothing; and a decoder that makes a tile of each latent leaves the
tiles' own pattern. Four things keep grids away: the AlexNet blurs before it strides
(`trainer.networks.lpips`), it looks at two scales, the crop that it sees begins at another pixel
every time (`trainer.phases.crops`), and what errors have in common in all tiles is a loss.

Shapes: B samples, F frames, N frames of all samples, H W rows and columns. Frames are RGB in
[0, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from einops import reduce
from torch import Tensor
from torch.nn import functional as F

LEAST_TILES = 4
Distance = Callable[[Tensor, Tensor], Tensor]
"""Of two batches of frames `[N, 3, H, W]` in [-1, 1], `[N]`."""


def perceptual_losses(distance: Distance, frames: Tensor, target: Tensor) -> Tensor:
    """Mean distance `[N]` of frames `[N, 3, H, W]` at full and at half the size."""
    a, b = 2 * frames.float() - 1, 2 * target.float() - 1
    return 0.5 * (distance(a, b) + distance(F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)))


def grid_losses(frames: Tensor, target: Tensor, tile: int) -> Tensor:
    """How large a pattern the errors repeat in every tile of `tile` x `tile` pixels, `[B]`.

    Frames and target `[B, F, 3, H, W]`. The error is averaged over frames and tiles, whose own mean
    is left out (an error of brightness is no pattern); then the mean absolute value. What is left
    of a part of a tile at the far borders is not looked at. 0 for crops of fewer than four tiles,
    in which chance is no smaller than a pattern.
    """
    rows, columns = frames.shape[3] // tile, frames.shape[4] // tile
    if rows * columns < LEAST_TILES:
        return frames.new_zeros(len(frames))
    error = (frames - target).float()[..., : rows * tile, : columns * tile]
    pattern = reduce(error, "b f c (y h) (x w) -> b c h w", "mean", h=tile, w=tile)
    return (pattern - pattern.mean((2, 3), keepdim=True)).abs().flatten(1).mean(1)


def warped(before: Tensor, motion: Tensor) -> tuple[Tensor, Tensor]:
    """The frame before as seen from now, `before(p + motion(p))`, and where that is known.

    `before` `[N, 3, H, W]`; `motion` `[N, 2, H, W]` in pixels, (x, y), from where a point is to
    where it was, NaN where unknown. Gives frames `[N, 3, H, W]` and a mask `[N, 1, H, W]` of 0 and
    1: where motion is known and leads to a place inside the frame.
    """
    height, width = before.shape[2:]
    rows = torch.arange(height, device=before.device, dtype=torch.float32)
    columns = torch.arange(width, device=before.device, dtype=torch.float32)
    known = motion.isfinite().all(1)
    moves = torch.nan_to_num(motion.float(), nan=0.0, posinf=0.0, neginf=0.0)
    x, y = columns + moves[:, 0], rows[:, None] + moves[:, 1]
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    grid = torch.stack([2 * x / max(1, width - 1) - 1, 2 * y / max(1, height - 1) - 1], dim=-1)
    seen = F.grid_sample(before.float(), grid, align_corners=True, padding_mode="border")
    return seen, (known & inside)[:, None].float()


def motion_losses(frames: Tensor, target: Tensor, motion: Tensor) -> Tensor:
    """How differently two clips change along the motion, `[B]`.

    Frames and target `[B, F, 3, H, W]`, motion `[B, F, 2, H, W]` of the target. The mean absolute
    difference of `I_t - warp(I_{t-1})` of both: what the fine clip itself changes (light, rain,
    what is uncovered) is not asked to stand still. 0 for single frames.
    """
    if frames.shape[1] < 2:
        return frames.new_zeros(len(frames))
    error = (frames - target).float()  # warping is linear: the difference of both is that of one
    now, before = error[:, 1:].flatten(0, 1), error[:, :-1].flatten(0, 1)
    seen, known = warped(before, motion[:, 1:].flatten(0, 1))
    rows = ((now - seen).abs() * known).unflatten(0, (len(frames), -1)).flatten(1).sum(1)
    count = known.unflatten(0, (len(frames), -1)).flatten(1).sum(1) * frames.shape[2]
    return rows / count.clamp_min(1)
