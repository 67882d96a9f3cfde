"""The memory that graphs run in: one stream's state and every buffer between the pieces.

Graphs know addresses, not streams. The stream whose chunk is rendered sits here; when another's
turn comes, the first one's state is copied to memory of its own and the other's copied in.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from c2r.models.control import ControlState
from c2r.models.forward_pass import TextKV, stacked
from c2r.models.vae import VAEState
from c2r.streaming.kv_cache import KVCache
from runtime.graphs.schedule import Work
from runtime.pipeline.pipeline import VideoState

Copy = tuple[Tensor, Tensor]
"""To and from."""
CARRIED = ("control", "vae")
"""What a stream carries beside keys and values; each has a buffer `.now` and one `.next`."""


class StaticBuffers:
    """Buffers by name, at addresses that never change, and who sits here."""

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self._kept: dict[str, Tensor] = {}
        self._sitting: weakref.ref[VideoState] | None = None
        self._text: TextKV | None = None
        self._moved = False

    def __getitem__(self, name: str) -> Tensor:
        return self._kept[name]

    def keep(self, name: str, value: Tensor) -> Tensor:
        """Copy a value into the buffer of that name, which is made like its first value."""
        if name not in self._kept:
            self._kept[name] = torch.empty_like(value, memory_format=torch.contiguous_format)
        return self._kept[name].copy_(value, non_blocking=True)

    def keep_all(self, name: str, values: Sequence[Tensor]) -> None:
        """Keep `values` as `name.0`, `name.1` ..."""
        for index, value in enumerate(values):
            self.keep(f"{name}.{index}", value)

    def all(self, name: str) -> tuple[Tensor, ...]:
        """What was kept by `keep_all`."""
        count = sum(other.startswith(f"{name}.") for other in self._kept)
        return tuple(self._kept[f"{name}.{index}"] for index in range(count))

    @property
    def nbytes(self) -> int:
        """Bytes of a stream's state, here or in memory of its own."""
        now = [tensor for name in CARRIED for tensor in self.all(f"{name}.now")]
        return self.cache.spec.nbytes + sum(tensor.nbytes for tensor in now)

    # Who sits here

    def holds(self, state: VideoState) -> bool:
        """Whether that stream sits here."""
        return self._sitting is not None and self._sitting() is state

    def take_moved(self, state: VideoState) -> bool:
        """Whether what the last chunk left (`.next`) is to become `.now`; asked once a chunk."""
        moved, self._moved = self._moved and not state.first, False
        return moved

    def finalized(self) -> None:
        """The stream that sits here has moved past its chunk."""
        self._moved = True

    def turn_to(self, state: VideoState) -> Work:
        """Have another stream sit here; gives the work of moving what both carry."""
        before = None if self._sitting is None else self._sitting()
        copies: list[Copy] = []
        if before is not None and not before.first:
            copies += self._leaving(before)
        self._sitting, self._moved = weakref.ref(state), False
        if not state.first:
            copies += self._coming(state)

        def move() -> None:
            for to, source in copies:
                to.copy_(source)

        return move

    def _leaving(self, state: VideoState) -> list[Copy]:
        copies = _held(state.stream.cache, self.cache, state.stream.cache.length)
        latest = "next" if self._moved else "now"
        for name in CARRIED:
            values, own = self.all(f"{name}.{latest}"), _carried(state, name)
            if len(own) != len(values):
                own = tuple(torch.empty_like(value) for value in values)
            copies += zip(own, values, strict=True)
            _carry(state, name, own)
        return copies

    def _coming(self, state: VideoState) -> list[Copy]:
        copies = _held(self.cache, state.stream.cache, state.stream.cache.length)
        for name in CARRIED:
            copies += zip(self.all(f"{name}.now"), _carried(state, name), strict=True)
        return copies

    # The prompt

    def turn_text(self, text: TextKV) -> bool:
        """Whether these are other keys and values of a prompt than the last."""
        other, self._text = text is not self._text, text
        return other

    @property
    def text(self) -> TextKV:
        """The prompt's keys and values, in the seat's memory: `[layers, 2, 1, S, h, d]`."""
        return cast(TextKV, self._kept["text"])

    def keep_text(self, text: TextKV) -> None:
        """Copy a prompt's keys and values here."""
        if "text" not in self._kept:
            self.keep("text", stacked(text))
            return
        for layer, pair in zip(self._kept["text"], text, strict=True):
            for to, part in zip(layer, pair, strict=True):
                to.copy_(part)


def _held(to: KVCache, source: KVCache, latents: int) -> list[Copy]:
    """The held latents of every layer."""
    stop = latents * source.spec.tokens
    keys = to.keys[:, :, :stop], source.keys[:, :, :stop]
    return [keys, (to.values[:, :, :stop], source.values[:, :, :stop])]


def _carried(state: VideoState, name: str) -> tuple[Tensor, ...]:
    if name == "control":
        return () if state.control is None else state.control.pending
    return () if state.vae is None else state.vae.past


def _carry(state: VideoState, name: str, values: tuple[Tensor, ...]) -> None:
    if name == "control":
        state.control = ControlState(values) if values else None
    else:
        state.vae = VAEState(values)
