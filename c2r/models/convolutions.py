"""What the convolutional networks share: 3x3 convolutions, and their layout in memory."""

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
