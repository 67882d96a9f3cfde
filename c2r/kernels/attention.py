"""Attention kernels behind one name each, and the fastest of them on the shapes at hand.

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
"""Of `products`, to bound its memory: 128 MiB in half precision."""


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
    """Attention as two matrix products and a softmax, some queries at a time."""
    batch, queries, heads, width = q.shape
    keys = k.permute(0, 2, 3, 1).reshape(batch * heads, width, -1)
    values = v.transpose(1, 2).reshape(batch * heads, -1, width)
    rows = max(1, SCORES_AT_ONCE // (batch * heads * keys.shape[-1]))
    unread = q.new_empty(())
    made = []
    for part in q.transpose(1, 2).reshape(batch * heads, queries, width).split(rows, dim=1):
        scores = torch.baddbmm(unread, part, keys, beta=0, alpha=width**-0.5)
        made.append(torch.bmm(scores.softmax(-1), values))
    out = made[0] if len(made) == 1 else torch.cat(made, dim=1)
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
        made = kernel(q, k, v)
        return made[0] if isinstance(made, tuple) else made  # older ones give the log-sums too

    return attend


@dataclass(frozen=True)
class _Entry:
    load: Callable[[], Attention]
    install: str


_IN_TORCH = "pip install torch (built for CUDA)"
BACKENDS: dict[str, _Entry] = {
    "sdpa": _Entry(lambda: sdpa, ""),
    "products": _Entry(lambda: products, ""),
    "cudnn": _Entry(partial(_sdpa_by, SDPBackend.CUDNN_ATTENTION), _IN_TORCH),
    "flash": _Entry(partial(_sdpa_by, SDPBackend.FLASH_ATTENTION), _IN_TORCH),
    "efficient": _Entry(partial(_sdpa_by, SDPBackend.EFFICIENT_ATTENTION), _IN_TORCH),
    "flash-attn": _Entry(
        partial(_imported, "flash_attn", "flash_attn_func"),
        "pip install flash-attn --no-build-isolation (needs CUDA)",
    ),
    "flash-attn-3": _Entry(_flash_attn_3, "building hopper/ of flash-attention (needs Hopper)"),
    "xformers": _Entry(
        partial(_imported, "xformers.ops", "memory_efficient_attention"),
        "pip install xformers (needs CUDA)",
    ),
}
"""`cudnn`, `flash` and `efficient` are kernels inside PyTorch; `sdpa` lets it choose. `products` is
plain products and a softmax, which a compiler can join.
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
