"""Numbers of 8 bits, E4M3: 4 bits of exponent, 3 of mantissa, up to 448, `value = stored * scale`.

Shapes: O outputs, I inputs of a linear layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

E4M3_MAX = 448.0
SMALLEST = 1e-12


def store_e4m3(x: Tensor, scale: Tensor | float) -> Tensor:
    """`x` as `float8_e4m3fn`, divided by `scale` and rounded; what is beyond 448 saturates."""
    return (x.float() / scale).clamp(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn)


def round_e4m3(x: Tensor, scale: Tensor | float) -> Tensor:
    """`x` through E4M3 and back, float32."""
    return store_e4m3(x, scale).float() * scale


def channel_scales(weight: Tensor) -> Tensor:
    """Scales of a weight `[O, I]`, one an output: `[O, 1]`."""
    return weight.float().abs().amax(1, keepdim=True).clamp_min(SMALLEST) / E4M3_MAX
