"""Limits a decoder's frames to [0, 1] so that training can still put right what lies beyond.

`clamp` passes no gradient beyond its limits. A decoder that is far too dark somewhere, as one is
where a student's latents are wrong, would never learn to be brighter there: of the small student's
frames a tenth of all values is at a limit, of some nights two fifths.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _Limit(torch.autograd.Function):
    """`clamp(x, 0, 1)`; beyond a limit, a gradient passes that leads back inside."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        return x.clamp(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Descent goes against the gradient: a positive one would lower what is too low already.
        (x,) = ctx.saved_tensors
        outwards = ((x < 0) & (gradient > 0)) | ((x > 1) & (gradient < 0))
        return gradient.masked_fill(outwards, 0)


def limited(frames: Tensor) -> Tensor:
    """Frames of any shape, limited to [0, 1]. Without gradients it is `clamp`, which exports."""
    if torch.is_grad_enabled() and frames.requires_grad:
        limited_: Tensor = _Limit.apply(frames)
        return limited_
    return frames.clamp(0, 1)
