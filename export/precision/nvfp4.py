"""NVFP4, simulated: values are rounded as the hardware would, and kept as floats.

NVFP4: E2M1 values up to 6 in blocks of 16 along the summed dimension,
each block with an E4M3 scale, and one float32 scale a tensor.

Shapes: I inputs of a linear layer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from c2r.kernels.e4m3 import E4M3_MAX, SMALLEST, round_e4m3

E2M1_MAX = 6.0
E2M1 = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0)
BLOCK = 16


def round_nvfp4(x: Tensor) -> Tensor:
    """`x` `[..., I]` through NVFP4; `ValueError` unless I is a multiple of 16."""
    if x.shape[-1] % BLOCK:
        raise ValueError(f"NVFP4 wants rows of a multiple of {BLOCK} numbers, not {x.shape[-1]}")
    blocks = x.float().unflatten(-1, (-1, BLOCK))
    whole = (x.float().abs().amax() / (E2M1_MAX * E4M3_MAX)).clamp_min(SMALLEST)
    wanted = blocks.abs().amax(-1, keepdim=True) / E2M1_MAX
    scale = round_e4m3(wanted, whole).clamp_min(SMALLEST)
    levels = torch.tensor(E2M1, device=x.device)
    middles = (levels[1:] + levels[:-1]) / 2
    place = torch.bucketize((blocks.abs() / scale).contiguous(), middles)
    return (levels[place] * blocks.sign() * scale).flatten(-2)
