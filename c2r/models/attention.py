"""Attention masks over latents: block-causal and teacher forcing, with any attention kernel.

A mask is a short list of "these latents attend to those", never a matrix of tokens. Masked
attention is one unmasked call per row of the list, so every kernel can run it, only the needed
products are computed, and no mask of tokens [L, L] is allocated.

Shapes: B batch, L query tokens, h heads, d head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.kernels.attention import BACKENDS, Attention, get_attention

__all__ = [
    "BACKENDS",
    "Attention",
    "LatentMask",
    "attend_masked",
    "block_causal",
    "get_attention",
    "teacher_forcing",
]


@dataclass(frozen=True)
class LatentMask:
    """Rows of (queries, the latents that they attend to), queries in order.

    `places`: the latents' positions in time, where they are not 0, 1, 2 ...
    """

    rows: tuple[tuple[range, tuple[range, ...]], ...]
    places: tuple[int, ...] | None = None

    @property
    def latents(self) -> int:
        """Latents of the whole sequence."""
        return self.rows[-1][0].stop

    def dense(self) -> Tensor:
        """The mask as `[latents, latents]`, True where the row attends to the column."""
        table = torch.zeros(self.latents, self.latents, dtype=torch.bool)
        for queries, seen in self.rows:
            for keys in seen:
                table[queries.start : queries.stop, keys.start : keys.stop] = True
        return table


def _blocks(latents: int, chunk: int) -> list[range]:
    return [range(start, min(start + chunk, latents)) for start in range(0, latents, chunk)]


def block_causal(
    latents: int, chunk: int, *, window: int | None = None, sink: int = 0
) -> LatentMask:
    """Every block of `chunk` latents attends to itself and to everything before it.

    With `window` it attends only to the first `sink` latents and the latest ones, `window` in all,
    its own included: what a K/V cache of that window holds. `ValueError` when that is less than a
    block.
    """
    if window is not None and window - sink < chunk:
        raise ValueError(
            f"a window of {window} with {sink} sink latents cannot hold a block of {chunk}; "
            f"make it {sink + chunk} or more"
        )
    rows = []
    for block in _blocks(latents, chunk):
        # Counted from the block's end, as the cache counts: the window holds the chunk itself.
        # Counted from its start, training would see `chunk` latents more than serving keeps.
        first = 0 if window is None else max(0, block.stop - (window - sink))
        whole = first <= sink
        seen = (range(block.stop),) if whole else (range(sink), range(first, block.stop))
        rows.append((block, tuple(part for part in seen if len(part))))
    return LatentMask(tuple(rows))


def teacher_forcing(
    latents: int, chunk: int, *, window: int | None = None, sink: int = 0
) -> LatentMask:
    """Mask of a doubled sequence: the clean clip, then the same clip noised.

    Clean blocks are block-causal among themselves; noisy block b attends to the clean blocks before
    b and to itself, both within `window` and `sink` as in `block_causal`. Both copies of a latent
    have the same position in time. Control tokens are doubled too.
    """
    # Why doubled: when serving, a chunk is denoised against the keys of clean chunks. One causal
    # pass over the noisy clip would attend to noisy ones, and the student would learn a context
    # that it never meets. The clean half makes those keys for all blocks in a single pass.
    # Noisy block b must not see clean block b: that is its own target, and the loss would vanish.
    causal = block_causal(latents, chunk, window=window, sink=sink).rows
    rows = list(causal)
    for block, seen in causal:
        noisy = range(latents + block.start, latents + block.stop)
        before = [range(part.start, min(part.stop, block.start)) for part in seen]
        rows.append((noisy, (*(part for part in before if len(part)), noisy)))
    return LatentMask(tuple(rows), places=(*range(latents), *range(latents)))


def attend_masked(attend: Attention, mask: LatentMask, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention under a latent mask; q, k, v `[B, L, h, d]` with L = latents x N tokens."""
    tokens = q.shape[1] // mask.latents

    def cut(x: Tensor, latents: range) -> Tensor:
        return x[:, latents.start * tokens : latents.stop * tokens]

    def gather(x: Tensor, seen: tuple[range, ...]) -> Tensor:
        parts = [cut(x, latents) for latents in seen]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    rows = [attend(cut(q, own), gather(k, seen), gather(v, seen)) for own, seen in mask.rows]
    return torch.cat(rows, dim=1)
