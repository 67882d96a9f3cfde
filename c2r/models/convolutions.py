"""What the convolutional networks share: 3x3 convolutions, steps of time, layout in memory."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def conv3(n_in: int, n_out: int, stride: int = 1, bias: bool = True) -> nn.Conv2d:
    """A 3x3 convolution that keeps the size, or divides it by `stride`."""
    return nn.Conv2d(n_in, n_out, 3, stride=stride, padding=1, bias=bias)


def laid_out(x: Tensor) -> Tensor:
    """`x` in memory as the convolutions of the CPU (oneDNN) take it without a copy."""
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return x
    return x.contiguous(memory_format=torch.channels_last)


def step_before(x: Tensor, past: Tensor) -> Tensor:
    """For each step of x [B*t, c, H, W] the one before it; for the first, past [B, c, H, W].

    Joined from 4-D parts, which keeps the layout; with a dimension for time the result would have
    to be laid out again.
    """
    steps = len(x) // len(past)
    parts = []
    for i, last in enumerate(laid_out(past).split(1)):
        parts += [last, x[i * steps : (i + 1) * steps - 1]]
    return torch.cat(parts)


def last_step(x: Tensor, batch: int) -> Tensor:
    """The last step of x [B*t, c, H, W], as [B, c, H, W] of its own memory.

    A view would keep the whole chunk's activation alive as long as the stream.
    """
    steps = len(x) // batch
    return x[steps - 1 :: steps].clone()
