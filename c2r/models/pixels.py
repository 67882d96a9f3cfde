"""Frames as bytes and as floats, and smaller by a whole factor."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def unit(frames: Tensor) -> Tensor:
    """Frames of any shape, uint8 or float in [0, 1], as floats in [0, 1]."""
    return frames.float() / 255 if frames.dtype == torch.uint8 else frames


def as_bytes(frames: Tensor) -> Tensor:
    """Frames of any shape in [0, 1] as uint8; what lies beyond is limited."""
    return (frames.float() * 255).round().clamp(0, 255).to(torch.uint8)


def eight_bit(decoded: Tensor) -> Tensor:
    """Decoded frames `[1, F, 3, H, W]` in [0, 1] -> uint8 `[F, H, W, 3]` on the same device."""
    return as_bytes(decoded[0]).permute(0, 2, 3, 1).contiguous()


def averaged(x: Tensor, side: int) -> Tensor:
    """`[B, F, C, H, W]` at 1 / `side` of its size, each `side` x `side` pixels averaged."""
    return F.avg_pool2d(x.flatten(0, 1), side).unflatten(0, x.shape[:2])
