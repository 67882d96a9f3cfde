"""Keys and values of the latents that a causal stream still sees: a sink and a sliding window.

Slots are latents at fixed addresses, in the order of time, and slot i always holds position i: a
key is rotated for its slot once, when written. When the window is full, the latents behind the
sink move down by one chunk and their keys turn back by as many positions (rotations add up), so
that positions never exceed the window, however long the stream. A key moves at most
window/chunk times before it leaves, which bounds the rounding of half precision.

Shapes: B batch, N tokens of one latent, S = window x N slots' tokens, h heads, d head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.models.configs import DiTConfig, StreamConfig
from c2r.models.rope import shift_time


@dataclass(frozen=True)
class CacheSpec:
    """Size of a cache, known before any memory is taken. `window` and `sink` are in latents."""

    layers: int
    tokens: int
    heads: int
    head_dim: int
    window: int
    sink: int
    batch: int = 1
    dtype: torch.dtype = torch.float32

    @classmethod
    def of(
        cls,
        dit: DiTConfig,
        stream: StreamConfig,
        tokens: int,
        *,
        control_layers: int = 0,
        batch: int = 1,
        dtype: torch.dtype = torch.float32,
    ) -> CacheSpec:
        """The cache of a DiT at `tokens` a latent, and of a control network's own blocks."""
        return cls(
            layers=dit.layers + control_layers,
            tokens=tokens,
            heads=dit.heads,
            head_dim=dit.head_dim,
            window=stream.window,
            sink=stream.sink,
            batch=batch,
            dtype=dtype,
        )

    @property
    def nbytes(self) -> int:
        """Bytes of keys and values together."""
        slots = self.layers * self.batch * self.window * self.tokens
        return 2 * slots * self.heads * self.head_dim * self.dtype.itemsize


class KVCache:
    """Keys and values `[layers, B, S, h, d]` and how many latents they hold.

    Between `make_room` and `commit` the slots behind the held latents belong to the current
    chunk: every pass over it writes them anew, the last one (over the clean chunk) stays.
    """

    def __init__(self, spec: CacheSpec, device: torch.device | str = "cpu") -> None:
        self.spec = spec
        self.length = 0
        shape = (spec.layers, spec.batch, spec.window * spec.tokens, spec.heads, spec.head_dim)
        try:
            self.keys = torch.zeros(shape, dtype=spec.dtype, device=device)
            self.values = torch.zeros(shape, dtype=spec.dtype, device=device)
        except RuntimeError as error:
            raise ValueError(
                f"the K/V cache needs {spec.nbytes / 2**30:.2f} GiB on {device}, which could not "
                f"be had; lower the window (now {spec.window} latents) or the batch ({spec.batch})"
            ) from error

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Write rotated keys and values `[B, L, h, d]` behind the held ones; give all of them.

        With gradients on, nothing is written: the held ones are joined with the new ones, so that
        a training step may go back through its own chunk and no further.
        """
        start = self.length * self.spec.tokens
        stop = start + k.shape[1]
        keys, values = self.keys[layer], self.values[layer]
        if torch.is_grad_enabled():
            return torch.cat([keys[:, :start], k], dim=1), torch.cat([values[:, :start], v], dim=1)
        keys[:, start:stop] = k
        values[:, start:stop] = v
        return keys[:, :stop], values[:, :stop]

    def overflow(self, latents: int) -> int:
        """Latents behind the sink that must leave before a chunk of `latents` fits."""
        spec = self.spec
        if latents > spec.window - spec.sink:
            raise ValueError(
                f"a chunk of {latents} latents does not fit a window of {spec.window} with "
                f"{spec.sink} sink latents; raise the window or shorten the chunk"
            )
        return max(0, self.length + latents - spec.window)

    def make_room(self, latents: int) -> None:
        """Move the window so that a chunk of `latents` fits; forgets the oldest behind the sink."""
        drop = self.overflow(latents)
        if drop:
            self.slide(drop)

    @torch.no_grad()
    def slide(self, drop: int) -> None:
        """Forget the `drop` oldest latents behind the sink; the others move down to their slots."""
        spec = self.spec
        for slot in range(spec.sink, self.length - drop, drop):
            stop = min(slot + drop, self.length - drop)
            to = slice(slot * spec.tokens, stop * spec.tokens)
            source = slice((slot + drop) * spec.tokens, (stop + drop) * spec.tokens)
            self.keys[:, :, to] = shift_time(self.keys[:, :, source], -drop)
            self.values[:, :, to] = self.values[:, :, source]
        self.length -= drop

    def commit(self, latents: int) -> None:
        """The current chunk's slots, as the last pass wrote them, now count as held."""
        assert self.length + latents <= self.spec.window, "make_room comes before a chunk"
        self.length += latents

    def reset(self) -> None:
        """Forget everything; the memory stays where it is."""
        self.length = 0

    def snapshot(self) -> HeldKV:
        """What is held now, copied: for a pass whose blocks run again in the backward pass."""
        stop = self.length * self.spec.tokens
        return HeldKV(self.keys[:, :, :stop].clone(), self.values[:, :, :stop].clone(), self.length)


@dataclass(frozen=True)
class HeldKV:
    """Keys and values `[layers, B, held, h, d]` that no later chunk changes."""

    keys: Tensor
    values: Tensor
    length: int

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """The held ones and the new ones `[B, L, h, d]`, joined."""
        return torch.cat([self.keys[layer], k], dim=1), torch.cat([self.values[layer], v], dim=1)

    def snapshot(self) -> HeldKV:
        """Itself."""
        return self
