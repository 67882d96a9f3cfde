"""Rotary position embeddings (RoPE) of Wan 2.1 over three axes: time, rows and columns.

A head of width d gives d - 4*(d//6) numbers to time and 2*(d//6) each to rows and columns
(44, 42, 42 for 128); theta is 10000; neighbours (2i, 2i+1) form the rotated pairs.
Knows nothing of caches: `shift_time` is what lets a cache slide its window.

Shapes: B batch, L tokens = T latents x H rows x W columns, h heads, d head width.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from c2r.kernels.fused_ops import rotate_pairs

THETA = 10000.0


def axis_widths(head_dim: int) -> tuple[int, int, int]:
    """How many numbers of a head rotate with time, rows and columns; all even, sum `head_dim`."""
    side = 2 * (head_dim // 6)
    return head_dim - 2 * side, side, side


def _frequencies(width: int, device: torch.device | None) -> Tensor:
    exponent = torch.arange(0, width, 2, device=device, dtype=torch.float32) / width
    return torch.exp(exponent * -math.log(THETA))


def rope_table(positions: Tensor, grid: tuple[int, int], head_dim: int) -> tuple[Tensor, Tensor]:
    """Cosine and sine of every token's angles, each `[L, d/2]` float32.

    `positions`: `[T]` positions in time of the latents; `grid`: (H, W) tokens of one latent.
    """
    rows, columns = grid
    time_width, row_width, column_width = axis_widths(head_dim)
    device = positions.device
    count = positions.shape[0]

    def angles(place: Tensor, width: int) -> Tensor:
        return torch.outer(place.float(), _frequencies(width, device))

    time = angles(positions, time_width)[:, None, None].expand(count, rows, columns, -1)
    row = angles(torch.arange(rows, device=device), row_width)
    column = angles(torch.arange(columns, device=device), column_width)
    row = row[None, :, None].expand(count, rows, columns, -1)
    column = column[None, None].expand(count, rows, columns, -1)
    table = torch.cat([time, row, column], dim=-1).flatten(0, 2)
    return table.cos(), table.sin()


def rotate(x: Tensor, table: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate heads `[B, L, h, d]` by a table of `[L, d/2]`, in float32; keeps the dtype of `x`."""
    cos, sin = (part[:, None] for part in table)
    return rotate_pairs(x.float(), cos, sin).to(x.dtype)


def shift_time(keys: Tensor, latents: int) -> Tensor:
    """Already rotated keys `[..., h, d]`, moved by `latents` positions in time (negative: earlier).

    Rotations add up, so this equals rotating the unrotated keys for the new position.
    """
    width = axis_widths(keys.shape[-1])[0]
    angle = _frequencies(width, keys.device) * latents
    moved = rotate_pairs(keys[..., :width].float(), angle.cos(), angle.sin()).to(keys.dtype)
    return torch.cat([moved, keys[..., width:]], dim=-1)
