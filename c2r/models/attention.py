"""Who sees whom: the latent masks that training needs, over any attention kernel.

A mask never becomes a matrix of tokens: it is a short list of "these latents see those", and
masked attention is one plain call a row, so every kernel can serve it.

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
    """Who sees whom, latent by latent: rows of (queries, what they see), queries in order.

    `places`: the latents' places in time, where they are not 0, 1, 2 ...
    """

    rows: tuple[tuple[range, tuple[range, ...]], ...]
    places: tuple[int, ...] | None = None

    @property
    def latents(self) -> int:
        """Latents of the whole sequence."""
        return self.rows[-1][0].stop

    def dense(self) -> Tensor:
        """Truth table `[latents, latents]`, True where the row sees the column."""
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
    """Every block of `chunk` latents sees itself and what came before it.

    With `window` it sees only the first `sink` latents and the latest, `window` in all, its own
    included: what a cache of that window holds. `ValueError` when that is less than a block.
    """
    if window is not None and window - sink < chunk:
        raise ValueError(
            f"a window of {window} with {sink} sink latents cannot hold a block of {chunk}; "
            f"make it {sink + chunk} or more"
        )
    rows = []
    for block in _blocks(latents, chunk):
        first = 0 if window is None else max(0, block.stop - (window - sink))
        whole = first <= sink
        seen = (range(block.stop),) if whole else (range(sink), range(first, block.stop))
        rows.append((block, tuple(part for part in seen if len(part))))
    return LatentMask(tuple(rows))


def teacher_forcing(
    latents: int, chunk: int, *, window: int | None = None, sink: int = 0
) -> LatentMask:
    """Mask of a doubled sequence: the clean clip, then the same clip noised.

    Clean blocks are block-causal among themselves; noisy block b sees the clean blocks before b
    and itself, both within `window` and `sink` as in `block_causal`. Both copies of a latent have
    the same place in time. Control tokens are doubled too.
    """
    causal = block_causal(latents, chunk, window=window, sink=sink).rows
    rows = list(causal)
    for block, seen in causal:
        noisy = range(latents + block.start, latents + block.stop)
        before = [range(part.start, min(part.stop, block.start)) for part in seen]
        rows.append((noisy, (*(part for part in before if len(part)), noisy)))
    return LatentMask(tuple(rows), places=(*range(latents), *range(latents)))


def attend_masked(attend: Attention, mask: LatentMask, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attention under a latent mask; q, k, v `[B, L, h, d]` with L = latents x N."""
    tokens = q.shape[1] // mask.latents

    def cut(x: Tensor, latents: range) -> Tensor:
        return x[:, latents.start * tokens : latents.stop * tokens]

    def gather(x: Tensor, seen: tuple[range, ...]) -> Tensor:
        parts = [cut(x, latents) for latents in seen]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)

    rows = [attend(cut(q, own), gather(k, seen), gather(v, seen)) for own, seen in mask.rows]
    return torch.cat(rows, dim=1)
