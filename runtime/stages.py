"""Times of a chunk's stages, without making the device wait for each.

On CUDA the marks are events that are read when the chunk is over; elsewhere they are clock reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch


@dataclass
class ChunkTimes:
    """Marks of one chunk; `milliseconds` by stage is there when the chunk is over."""

    cuda: bool
    milliseconds: dict[str, float] = field(default_factory=dict)
    _events: dict[str, tuple[torch.cuda.Event, torch.cuda.Event]] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Everything inside belongs to the stage of that name."""
        if self.cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            self._events[name] = begin, end
        else:
            begin_s = time.perf_counter()
            yield
            self.milliseconds[name] = (time.perf_counter() - begin_s) * 1000

    def collect(self) -> None:
        """Wait for the last mark and read them all."""
        for name, (begin, end) in self._events.items():
            end.synchronize()
            self.milliseconds[name] = begin.elapsed_time(end)


class StageClock:
    """Makes `ChunkTimes` for one device."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"

    @contextmanager
    def chunk(self) -> Iterator[ChunkTimes]:
        """Times of one chunk; they are complete when the block ends."""
        times = ChunkTimes(self.cuda)
        yield times
        times.collect()
