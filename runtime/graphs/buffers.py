"""Static buffers: the memory that graphs run in, one stream's state and what steps hand on.

A CUDA graph has addresses in it, not tensors. So every step works in these buffers, and the state
of the stream whose chunk is rendered is in them (it is resident). When another stream's turn comes,
the state is copied to memory of that stream's own, and the other one's copied in.
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
"""What a stream carries besides keys and values; each has buffers `NAME.now` and `NAME.next`.

Steps read `.now` and write `.next`. Until a chunk is finalized it may be rendered again, with the
same `.now`; only then does `.next` take its place.
"""


class StaticBuffers:
    """Buffers by name, at addresses that never change, and which stream is resident."""

    def __init__(self, cache: KVCache) -> None:
        self.cache = cache
        self._buffers: dict[str, Tensor] = {}
        # Weak: the memory of a stream that its session has dropped must become free.
        self._resident: weakref.ref[VideoState] | None = None
        self._text: TextKV | None = None
        self._next_is_due = False

    def __getitem__(self, name: str) -> Tensor:
        return self._buffers[name]

    def write(self, name: str, value: Tensor) -> Tensor:
        """Copy a value into the buffer of that name, which is made like its first value.

        All first values are written during warm-up. A buffer that came into being later would be
        missing in graphs captured before.
        """
        if name not in self._buffers:
            self._buffers[name] = torch.empty_like(value, memory_format=torch.contiguous_format)
        return self._buffers[name].copy_(value, non_blocking=True)

    def write_all(self, name: str, values: Sequence[Tensor]) -> None:
        """Write `values` to `name.0`, `name.1` ..."""
        for index, value in enumerate(values):
            self.write(f"{name}.{index}", value)

    def all(self, name: str) -> tuple[Tensor, ...]:
        """What was written by `write_all`."""
        count = sum(other.startswith(f"{name}.") for other in self._buffers)
        return tuple(self._buffers[f"{name}.{index}"] for index in range(count))

    @property
    def addresses(self) -> dict[str, int]:
        """Where every buffer is; captured graphs rely on it that none ever moves."""
        cache = {"keys": self.cache.keys.data_ptr(), "values": self.cache.values.data_ptr()}
        return cache | {name: buffer.data_ptr() for name, buffer in self._buffers.items()}

    @property
    def state_bytes(self) -> int:
        """Bytes of one stream's state, here or in memory of its own."""
        now = [tensor for name in CARRIED for tensor in self.all(f"{name}.now")]
        return self.cache.spec.nbytes + sum(tensor.nbytes for tensor in now)

    # Which stream is resident

    def holds(self, state: VideoState) -> bool:
        return self._resident is not None and self._resident() is state

    def take_due(self, state: VideoState) -> bool:
        """Whether `.next` of the last chunk has to become `.now`; true once for each chunk."""
        due, self._next_is_due = self._next_is_due and not state.first, False
        return due

    def mark_finalized(self) -> None:
        """The resident stream has moved past its chunk."""
        self._next_is_due = True

    def swap_in(self, state: VideoState) -> Work:
        """Make another stream resident; gives the work of copying the states of both.

        The copies are returned and not made, since they have to wait for steps that are running.
        A stream that is at its first chunk has no state to copy.
        """
        before = None if self._resident is None else self._resident()
        copies: list[Copy] = []
        if before is not None and not before.first:
            copies += self._out_of(before)
        self._resident, self._next_is_due = weakref.ref(state), False
        if not state.first:
            copies += self._into(state)

        def move() -> None:
            for to, source in copies:
                to.copy_(source)

        return move

    def _out_of(self, state: VideoState) -> list[Copy]:
        copies = _filled(state.stream.cache, self.cache, state.stream.cache.length)
        latest = "next" if self._next_is_due else "now"
        for name in CARRIED:
            values, own = self.all(f"{name}.{latest}"), _carried(state, name)
            if len(own) != len(values):
                own = tuple(torch.empty_like(value) for value in values)
            copies += zip(own, values, strict=True)
            _carry(state, name, own)
        return copies

    def _into(self, state: VideoState) -> list[Copy]:
        copies = _filled(self.cache, state.stream.cache, state.stream.cache.length)
        for name in CARRIED:
            copies += zip(self.all(f"{name}.now"), _carried(state, name), strict=True)
        return copies

    # The prompt

    def text_changed(self, text: TextKV) -> bool:
        """Whether these are other keys and values of a prompt than the last; remembers them."""
        changed, self._text = text is not self._text, text
        return changed

    @property
    def text(self) -> TextKV:
        """The prompt's keys and values in their buffer: `[layers, 2, 1, S, h, d]`."""
        return cast(TextKV, self._buffers["text"])

    def write_text(self, text: TextKV) -> None:
        if "text" not in self._buffers:
            self.write("text", stacked(text))
            return
        for layer, pair in zip(self._buffers["text"], text, strict=True):
            for to, part in zip(layer, pair, strict=True):
                to.copy_(part)


def _filled(to: KVCache, source: KVCache, latents: int) -> list[Copy]:
    """The part of the cache that holds something, of every layer."""
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
