"""The memory-bound ops between matrix products, one call each, so that fused kernels can stand in.

`REFERENCE` is PyTorch, runs everywhere and is what is traced and exported;
`c2r.kernels.fused_ops_triton` has the same ops for CUDA. All compute in float32 and return the
dtype of `x`.

Shapes: B batch, T latents, N tokens of a latent, L = T x N, D width, h heads, d head width,
M modulations per sample (1 or T).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

Table = tuple[Tensor, Tensor]
"""Cosine and sine of every token's angles, each `[L, d/2]` float32."""


class NormModulate(Protocol):
    """Affine-free LayerNorm, then scale and shift."""

    def __call__(self, x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
        """`x` `[B, T, N, D]`, `shift` and `scale` `[B, M, 1, D]` float32 -> `[B, T, N, D]`."""
        ...


class NormRotate(Protocol):
    """RMSNorm over the full width, split into heads, then RoPE: each pair rotated by its angle."""

    def __call__(self, x: Tensor, weight: Tensor, eps: float, table: Table) -> Tensor:
        """`x` `[B, L, D]`, `weight` `[D]` -> `[B, L, h, d]`, d being twice the table's width."""
        ...


class GateAdd(Protocol):
    """Residual plus gated update."""

    def __call__(self, x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
        """`x`, `update` `[B, T, N, D]`, `gate` `[B, M, 1, D]` float32 -> `[B, T, N, D]`."""
        ...


@dataclass(frozen=True)
class FusedOps:
    """One implementation of every op."""

    norm_modulate: NormModulate
    norm_rotate: NormRotate
    gate_add: GateAdd


def rotate_pairs(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Neighbours (2i, 2i+1) of float32 `x` `[..., 2n]` rotated; angles `[..., n]`."""
    pairs = x.unflatten(-1, (-1, 2))
    if x.device.type == "cpu" and not torch.compiler.is_compiling():
        # One pass over memory. Compiled and exported graphs have no complex numbers.
        rotated = torch.view_as_complex(pairs.contiguous()) * torch.complex(cos, sin)
        return torch.view_as_real(rotated).flatten(-2)
    even, odd = pairs.unbind(-1)
    return torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)


def norm_modulate(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    """See `NormModulate`."""
    width, wide = x.shape[-1:], x.float()
    if scale.numel() == width.numel() and not torch.compiler.is_compiling():
        # One modulation for all tokens: PyTorch's own kernel applies it in the same pass.
        affine = (1 + scale).flatten(), shift.flatten()
        return F.layer_norm(wide, width, *affine, eps).to(x.dtype)
    return (F.layer_norm(wide, width, eps=eps) * (1 + scale) + shift).to(x.dtype)


def norm_rotate(x: Tensor, weight: Tensor, eps: float, table: Table) -> Tensor:
    """See `NormRotate`."""
    cos, sin = (part[:, None] for part in table)
    normed = F.rms_norm(x.float(), x.shape[-1:], weight.float(), eps)
    return rotate_pairs(normed.unflatten(-1, (-1, 2 * cos.shape[-1])), cos, sin).to(x.dtype)


def gate_add(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    """See `GateAdd`."""
    return torch.addcmul(x.float(), update.float(), gate).to(x.dtype)


REFERENCE = FusedOps(norm_modulate, norm_rotate, gate_add)
NAMES = ("reference", "triton")


def get_fused_ops(name: str) -> FusedOps:
    """The implementation of that name. `ValueError` if unknown, or if Triton is not installed."""
    if name not in NAMES:
        raise ValueError(f"fused_ops {name!r} are unknown; known: {', '.join(NAMES)}")
    if name == "reference":
        return REFERENCE
    try:
        return import_module("c2r.kernels.fused_ops_triton").TRITON
    except ImportError as error:
        raise ValueError(
            f"fused_ops 'triton' cannot be loaded ({error}); PyTorch for CUDA brings Triton along, "
            "or use fused_ops 'reference'"
        ) from error
