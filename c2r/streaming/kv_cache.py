"""The K/V cache of a causal stream: the keys and values of a sink and of a sliding window.

A slot is one latent. Slots are at fixed addresses, in the order of time, and slot i always holds
position i: a key is rotated for its slot once, when it is written. When the window is full, the
oldest latents behind the sink are evicted, the others move down and their keys are rotated back by
as many positions. So positions never exceed the window, however long the stream.

Shapes: B batch, N tokens of one latent, S = window x N tokens of all slots, h heads, d head width.
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
        """The cache of a DiT at `tokens` per latent, and of a control network's own blocks."""
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
    chunk: every pass over it overwrites them, and what the last pass (over the clean chunk) wrote
    stays.

    `keys` and `values` are allocated once and only ever written in place. CUDA graphs are captured
    with their addresses, so a new tensor here would leave the graphs reading freed memory; and
    `length` is a Python number, so the slices of a pass are constants of its graph: one graph per
    fill level of the cache.
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
        """Write rotated keys and values `[B, L, h, d]` behind the held ones; return all of them."""
        start = self.length * self.spec.tokens
        stop = start + k.shape[1]
        keys, values = self.keys[layer], self.values[layer]
        if torch.is_grad_enabled():
            # Training. Writing in place would break the backward pass of earlier steps, which saved
            # these slots. Joined instead, gradients flow into this chunk and stop at the cache.
            return torch.cat([keys[:, :start], k], dim=1), torch.cat([values[:, :start], v], dim=1)
        keys[:, start:stop] = k
        values[:, start:stop] = v
        return keys[:, :stop], values[:, :stop]

    def overflow(self, latents: int) -> int:
        """How many latents must be evicted before a chunk of `latents` fits."""
        spec = self.spec
        if latents > spec.window - spec.sink:
            raise ValueError(
                f"a chunk of {latents} latents does not fit a window of {spec.window} with "
                f"{spec.sink} sink latents; raise the window or shorten the chunk"
            )
        return max(0, self.length + latents - spec.window)

    def make_room(self, latents: int) -> None:
        """Evict the oldest latents behind the sink until a chunk of `latents` fits."""
        drop = self.overflow(latents)
        if drop:
            self.slide(drop)

    @torch.no_grad()
    def slide(self, drop: int) -> None:
        """Evict the `drop` oldest latents behind the sink; the others move down to their slots."""
        # A key at position p was stored rotated by R(p). It now stands at p - drop, and rotations
        # add up: R(p - drop) = R(-drop) R(p). So stored keys are rotated back by `drop`, in time
        # only. Without this, old latents would seem `drop` closer to the queries than they are, and
        # more with every eviction. Values carry no position, and the sink keeps its slots.
        # The price is one more rounding in half precision per move, at most window / chunk times.
        #
        # Moved `drop` latents at a time, from the oldest on: source and target of one step do not
        # overlap, and a target was already moved away, so no second copy of the cache is needed.
        spec = self.spec
        for slot in range(spec.sink, self.length - drop, drop):
            stop = min(slot + drop, self.length - drop)
            to = slice(slot * spec.tokens, stop * spec.tokens)
            source = slice((slot + drop) * spec.tokens, (stop + drop) * spec.tokens)
            self.keys[:, :, to] = shift_time(self.keys[:, :, source], -drop)
            self.values[:, :, to] = self.values[:, :, source]
        self.length -= drop

    def commit(self, latents: int) -> None:
        assert self.length + latents <= self.spec.window, "make_room comes before a chunk"
        self.length += latents

    def reset(self) -> None:
        """Hold nothing; the memory stays where it is, and stale slots are never read."""
        self.length = 0

    def snapshot(self) -> HeldKV:
        """A copy of what is held now.

        With activation checkpointing a block runs again in the backward pass, after later chunks
        have overwritten or moved the slots; it must see what it saw the first time.
        """
        stop = self.length * self.spec.tokens
        return HeldKV(self.keys[:, :, :stop].clone(), self.values[:, :, :stop].clone(), self.length)


@dataclass(frozen=True)
class HeldKV:
    """Keys and values `[layers, B, held, h, d]` that no later chunk changes; a `LayerCache`."""

    keys: Tensor
    values: Tensor
    length: int

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        return torch.cat([self.keys[layer], k], dim=1), torch.cat([self.values[layer], v], dim=1)

    def snapshot(self) -> HeldKV:
        return self
