"""How long the stages of a chunk take, without making the device wait for each.

On CUDA the marks are events, read when somebody asks; elsewhere they are clock reads.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch


class Timing(Protocol):
    """How long something took."""

    @property
    def ms(self) -> float:
        """Milliseconds; waits until it is over."""
        ...


@dataclass(frozen=True)
class HostTiming:
    """Between two clock reads."""

    ms: float


@dataclass(frozen=True)
class DeviceTiming:
    """Between two events of one CUDA stream."""

    begin: torch.cuda.Event
    end: torch.cuda.Event

    @property
    def ms(self) -> float:
        self.end.synchronize()
        return self.begin.elapsed_time(self.end)


class StageTimer:
    """Times what runs on one device."""

    def __init__(self, device: torch.device) -> None:
        self.cuda = device.type == "cuda"

    @contextmanager
    def time(self, timings: dict[str, Timing], name: str) -> Iterator[None]:
        """Everything inside the block counts as stage `name`."""
        if self.cuda:
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            yield
            end.record()
            timings[name] = DeviceTiming(begin, end)
        else:
            begin_s = time.perf_counter()
            yield
            timings[name] = HostTiming((time.perf_counter() - begin_s) * 1000)


def milliseconds(timings: Mapping[str, Timing]) -> dict[str, float]:
    """All timings, read; waits for the last of them."""
    return {name: timing.ms for name, timing in timings.items()}
