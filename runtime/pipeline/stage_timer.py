"""Times of a chunk's stages, without making the device wait for each.

On CUDA the marks are events, read when somebody asks; elsewhere they are clock reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch


class Lap(Protocol):
    """How long something took."""

    @property
    def ms(self) -> float:
        """Milliseconds; waits until it is over."""
        ...


@dataclass(frozen=True)
class HostLap:
    """Between two clock reads."""

    ms: float


@dataclass(frozen=True)
class DeviceLap:
    """Between two events of one stream."""

    begin: torch.cuda.Event
    end: torch.cuda.Event

    @property
    def ms(self) -> float:
        """Milliseconds; waits until the second event has come."""
        self.end.synchronize()
        return self.begin.elapsed_time(self.end)


class StageTimer:
    """Takes the laps of one device."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"

    @contextmanager
    def lap(self, laps: dict[str, Lap], name: str) -> Iterator[None]:
        """Everything inside is the lap of that name."""
        if self.cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            laps[name] = DeviceLap(begin, end)
        else:
            begin_s = time.perf_counter()
            yield
            laps[name] = HostLap((time.perf_counter() - begin_s) * 1000)


def milliseconds(laps: Mapping[str, Lap]) -> dict[str, float]:
    """All laps, read; waits for the last of them."""
    return {name: lap.ms for name, lap in laps.items()}
