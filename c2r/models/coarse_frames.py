"""Coarse frames as the networks take them: DINO at the DiT's size, the guide at the output size."""

from __future__ import annotations

from torch import Tensor

from c2r.models.configs import Preset
from c2r.models.pixels import averaged, unit


def dino_frames(frames: Tensor, preset: Preset) -> Tensor:
    """Coarse frames `[B, F, 3, H, W]` for DINO: at the output size they are averaged.

    Without a guide any size passes as it is, since DINO resizes; with one see `guide_frames`.
    """
    if not preset.guided or frames.shape[-2:] == (preset.height, preset.width):
        return frames
    check_coarse_size(frames.shape[-1], frames.shape[-2], preset)
    return averaged(unit(frames), preset.output_scale)


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
    check_coarse_size(frames.shape[-1], frames.shape[-2], preset)
    scale = preset.output_scale
    return pixels.repeat_interleave(scale, -2).repeat_interleave(scale, -1)


def check_coarse_size(width: int, height: int, preset: Preset) -> None:
    """Raise `ValueError` unless a guide can be made of frames of `width` x `height` pixels."""
    if (width, height) not in (preset.output_size, (preset.width, preset.height)):
        output = "x".join(map(str, preset.output_size))
        raise ValueError(
            f"coarse frames are {width}x{height}; this renderer takes them at its output size "
            f"({output}) or at the DiT's ({preset.width}x{preset.height}): resize them, or change "
            "--width and --height"
        )
