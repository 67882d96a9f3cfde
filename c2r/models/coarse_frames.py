"""Coarse frames as the networks take them: DINO at the DiT's size, the guide at the output size."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from c2r.models.configs import Preset


def unit(frames: Tensor) -> Tensor:
    """Frames, uint8 or float in [0, 1], as floats in [0, 1]."""
    return frames.float() / 255 if frames.dtype == torch.uint8 else frames


def control_frames(frames: Tensor, preset: Preset) -> Tensor:
    """Coarse frames `[B, F, 3, H, W]` for DINO: at the output size they are averaged.

    Without a guide any size passes as it is, since DINO resizes; with one see `guide_frames`.
    """
    if not preset.guided or frames.shape[-2:] == (preset.height, preset.width):
        return frames
    _check_size(frames, preset)
    small = F.avg_pool2d(unit(frames).flatten(0, 1), preset.output_scale)
    return small.unflatten(0, frames.shape[:2])


def guide_frames(frames: Tensor, preset: Preset) -> Tensor | None:
    """Coarse frames `[B, F, 3, H, W]` as the decoder's guide, floats in [0, 1] of the output size.

    Pixels of frames at the DiT's size are repeated. None for a preset without a guide.
    `ValueError` for another size.
    """
    if not preset.guided:
        return None
    pixels = unit(frames)
    if frames.shape[-2:] == preset.output_size[::-1]:
        return pixels
    _check_size(frames, preset)
    scale = preset.output_scale
    return pixels.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


def _check_size(frames: Tensor, preset: Preset) -> None:
    height, width = frames.shape[-2:]
    preset.check_coarse_size(width, height)
