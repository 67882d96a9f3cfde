"""The ops of `c2r.kernels.fused_ops` in Triton, for CUDA: each reads and writes memory once.

One program per token, with the whole width in registers; sums are in float32. Imports Triton, so
`get_fused_ops` imports this module only when asked to. With `TRITON_INTERPRET=1` the same programs
run on the CPU.

Shapes: B batch, T latents, N tokens of a latent, L = T x N, D width, h heads, d head width,
M modulations per sample (1 or T).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from c2r.kernels.fused_ops import FusedOps, Table


@triton.jit
def _norm_modulate(
    x, shift, scale, out, latents, tokens, shift_b, shift_t, scale_b, scale_t, eps,
    D: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, WIDE)
    inside = column < D
    sample, latent = row // (latents * tokens), (row // tokens) % latents
    shift += sample * shift_b + latent * shift_t
    scale += sample * scale_b + latent * scale_t
    value = tl.load(x + row * D + column, inside, other=0.0).to(tl.float32)
    mean = tl.sum(value, 0) / D
    centred = tl.where(inside, value - mean, 0.0)
    normed = centred * tl.rsqrt(tl.sum(centred * centred, 0) / D + eps)
    factor = tl.load(scale + column, inside, other=0.0)
    offset = tl.load(shift + column, inside, other=0.0)
    modulated = normed * (1.0 + factor) + offset
    tl.store(out + row * D + column, modulated.to(out.dtype.element_ty), inside)


@triton.jit
def _norm_rotate(
    x, weight, cos, sin, out, x_row, tokens, eps,
    D: tl.constexpr, HEAD: tl.constexpr, PAIRS: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    pair = tl.arange(0, PAIRS)
    inside = pair < D // 2
    start = x + row * x_row + 2 * pair
    even = tl.load(start, inside, other=0.0).to(tl.float32)
    odd = tl.load(start + 1, inside, other=0.0).to(tl.float32)
    inverse = tl.rsqrt(tl.sum(even * even + odd * odd, 0) / D + eps)
    even *= inverse * tl.load(weight + 2 * pair, inside, other=0.0).to(tl.float32)
    odd *= inverse * tl.load(weight + 2 * pair + 1, inside, other=0.0).to(tl.float32)
    angle = (row % tokens) * (HEAD // 2) + pair % (HEAD // 2)
    c = tl.load(cos + angle, inside, other=0.0)
    s = tl.load(sin + angle, inside, other=0.0)
    end = out + row * D + 2 * pair
    tl.store(end, (even * c - odd * s).to(out.dtype.element_ty), inside)
    tl.store(end + 1, (even * s + odd * c).to(out.dtype.element_ty), inside)


@triton.jit
def _gate_add(
    x, update, gate, out, latents, tokens, gate_b, gate_t,
    D: tl.constexpr, WIDE: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64)
    column = tl.arange(0, WIDE)
    inside = column < D
    sample, latent = row // (latents * tokens), (row // tokens) % latents
    gate += sample * gate_b + latent * gate_t
    value = tl.load(x + row * D + column, inside, other=0.0).to(tl.float32)
    more = tl.load(update + row * D + column, inside, other=0.0).to(tl.float32)
    factor = tl.load(gate + column, inside, other=0.0)
    tl.store(out + row * D + column, (value + more * factor).to(out.dtype.element_ty), inside)


def _strides(modulation: Tensor) -> tuple[int, int]:
    """Strides of a modulation `[B, M, 1, D]` in elements: (sample to sample, latent to latent).

    0 where all share one. A block's six modulations are slices of one tensor, read without a copy.
    """
    assert modulation.stride(-1) == 1
    samples, latents = modulation.shape[:2]
    by_sample, by_latent = modulation.stride()[:2]
    return by_sample if samples > 1 else 0, by_latent if latents > 1 else 0


def _warps(width: int) -> int:
    return 4 if width <= 2048 else 8


def norm_modulate(x: Tensor, shift: Tensor, scale: Tensor, eps: float) -> Tensor:
    """See `c2r.kernels.fused_ops.NormModulate`."""
    batch, latents, tokens, width = x.shape
    assert x.is_contiguous() and shift.dtype == scale.dtype == torch.float32  # noqa: PT018
    shift_strides, scale_strides = _strides(shift), _strides(scale)
    out = torch.empty_like(x)
    _norm_modulate[(batch * latents * tokens,)](
        x, shift, scale, out, latents, tokens, *shift_strides, *scale_strides, eps,
        D=width, WIDE=triton.next_power_of_2(width), num_warps=_warps(width),
    )  # fmt: skip
    return out


def norm_rotate(x: Tensor, weight: Tensor, eps: float, table: Table) -> Tensor:
    """See `c2r.kernels.fused_ops.NormRotate`; `x` may be a slice of joined q, k and v."""
    batch, tokens, width = x.shape
    cos, sin = (part.contiguous() for part in table)
    if x.stride(-1) != 1 or (batch > 1 and x.stride(0) != tokens * x.stride(1)):
        x = x.contiguous()
    head = 2 * cos.shape[-1]
    out = torch.empty((batch, tokens, width // head, head), dtype=x.dtype, device=x.device)
    _norm_rotate[(batch * tokens,)](
        x, weight, cos, sin, out, x.stride(1), tokens, eps,
        D=width, HEAD=head, PAIRS=triton.next_power_of_2(width // 2), num_warps=_warps(width),
    )  # fmt: skip
    return out


def gate_add(x: Tensor, update: Tensor, gate: Tensor) -> Tensor:
    """See `c2r.kernels.fused_ops.GateAdd`."""
    batch, latents, tokens, width = x.shape
    assert gate.dtype == torch.float32
    x, update = x.contiguous(), update.contiguous()
    out = torch.empty_like(x)
    _gate_add[(batch * latents * tokens,)](
        x, update, gate, out, latents, tokens, *_strides(gate),
        D=width, WIDE=triton.next_power_of_2(width), num_warps=_warps(width),
    )  # fmt: skip
    return out


TRITON = FusedOps(norm_modulate, norm_rotate, gate_add)
