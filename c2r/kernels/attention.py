"""Attention kernels, one name each, all with the same call.

Shapes: B batch, L query tokens, S key tokens, h heads, d head width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]
"""`(q [B, L, h, d], k [B, S, h, d], v [B, S, h, d]) -> [B, L, h, d]`; all queries see all keys."""

SCORES_AT_ONCE = 2**26
"""Most attention scores that `products` holds, to bound its memory: 128 MiB in bf16."""


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """PyTorch's own attention; runs everywhere."""
    if q.device.type == "cpu" and not torch.compiler.is_compiling():
        if torch.is_autocast_enabled("cpu"):
            half = torch.get_autocast_dtype("cpu")
            with torch.autocast("cpu", enabled=False):
                return sdpa(q.to(half), k.to(half), v.to(half))
        # Without AMX, PyTorch's kernel multiplies bfloat16 no faster than float32.
        if q.dtype == torch.bfloat16 and not torch.cpu._is_amx_tile_supported():
            return products(q, k, v)
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)


def products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention as two matrix products and a softmax, a block of queries at a time."""
    batch, queries, heads, width = q.shape
    keys = k.permute(0, 2, 3, 1).reshape(batch * heads, width, -1)
    values = v.transpose(1, 2).reshape(batch * heads, -1, width)
    rows = max(1, SCORES_AT_ONCE // (batch * heads * keys.shape[-1]))
    unread = q.new_empty(())  # baddbmm's addend: with beta 0 it is never read
    blocks = []
    for part in q.transpose(1, 2).reshape(batch * heads, queries, width).split(rows, dim=1):
        scores = torch.baddbmm(unread, part, keys, beta=0, alpha=width**-0.5)
        blocks.append(torch.bmm(scores.softmax(-1), values))
    out = blocks[0] if len(blocks) == 1 else torch.cat(blocks, dim=1)
    return out.view(batch, heads, queries, width).transpose(1, 2)


def _sdpa_by(backend: SDPBackend) -> Attention:
    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        q, k, v = (part.transpose(1, 2) for part in (q, k, v))
        with sdpa_kernel(backend):
            return F.scaled_dot_product_attention(q, k, v).transpose(1, 2)

    return attend


def _imported(module: str, function: str) -> Attention:
    kernel: Attention = getattr(import_module(module), function)
    return kernel


def _flash_attn_3() -> Attention:
    kernel = import_module("flash_attn_interface").flash_attn_func

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = kernel(q, k, v)
        return out[0] if isinstance(out, tuple) else out  # older versions return the log-sums too

    return attend


@dataclass(frozen=True)
class _Backend:
    load: Callable[[], Attention]
    install: str


_IN_TORCH = "pip install torch (built for CUDA)"
BACKENDS: dict[str, _Backend] = {
    "sdpa": _Backend(lambda: sdpa, ""),
    "products": _Backend(lambda: products, ""),
    "cudnn": _Backend(partial(_sdpa_by, SDPBackend.CUDNN_ATTENTION), _IN_TORCH),
    "flash": _Backend(partial(_sdpa_by, SDPBackend.FLASH_ATTENTION), _IN_TORCH),
    "efficient": _Backend(partial(_sdpa_by, SDPBackend.EFFICIENT_ATTENTION), _IN_TORCH),
    "flash-attn": _Backend(
        partial(_imported, "flash_attn", "flash_attn_func"),
        "pip install flash-attn --no-build-isolation (needs CUDA)",
    ),
    "flash-attn-3": _Backend(_flash_attn_3, "building hopper/ of flash-attention (needs Hopper)"),
    "xformers": _Backend(
        partial(_imported, "xformers.ops", "memory_efficient_attention"),
        "pip install xformers (needs CUDA)",
    ),
}
"""`cudnn`, `flash` and `efficient` are kernels inside PyTorch; `sdpa` lets it choose. `products` is
two products and a softmax, which a compiler can fuse.
"""


def get_attention(name: str) -> Attention:
    """The kernel of that name. `ValueError` if unknown, or if its package is not installed."""
    if name not in BACKENDS:
        raise ValueError(f"attention {name!r} is unknown; known: {', '.join(BACKENDS)}")
    try:
        return BACKENDS[name].load()
    except ImportError as error:
        raise ValueError(
            f"attention {name!r} cannot be loaded ({error}); install it with "
            f"`{BACKENDS[name].install}`, or use attention='sdpa'"
        ) from error
