"""The schedule of a chunk as data: its steps, the lane of each, and what each one waits for.

Lanes are CUDA streams, or, in the plain twin, one thing after the other. The lists of what a step
waits for are complete: any order that keeps them gives the same pictures.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch

from runtime.pipeline.stage_timer import DeviceTiming, HostTiming, Timing

Work = Callable[[], None]


@dataclass(frozen=True)
class Step:
    """One step of a chunk. It waits for steps `after` of its own chunk, `behind` of the last."""

    name: str
    lane: str
    after: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


CHUNK = (
    Step("upload", "in", behind=("dino",)),
    Step("dino", "in", after=("upload",), behind=("control",)),
    Step("control", "in", after=("dino",), behind=("control", "denoise")),
    Step("room", "main", behind=("denoise", "kv_write")),
    Step("denoise", "main", after=("control", "room"), behind=("kv_write", "vae")),
    Step("vae", "out", after=("denoise",), behind=("vae", "download")),
    Step("download", "out", after=("vae",), behind=("download",)),
    Step("kv_write", "main", after=("denoise",)),
)
"""`upload` and `dino` of a chunk run beside `vae` and `kv_write` of the one before.

A step waits for whoever reads what it overwrites: `upload` for `dino` (the pixels), `dino` for
`control` (the features), `control` for `denoise` (the tokens, which it copies), `denoise` for `vae`
and `kv_write` (the clean latents), `vae` for `download` (the pictures).
"""

LANES = ("in", "main", "out")
STEPS = {step.name: step for step in CHUNK}


class Lanes(Protocol):
    """Carries out steps."""

    def run(self, step: Step, work: Work) -> Timing:
        """Start a step when what it waits for is over; does not wait for it."""
        ...

    def alone(self, work: Work) -> None:
        """Work with every step before it over and none after it begun."""
        ...


class InOrder:
    """The plain twin: each step is over before the next begins."""

    def run(self, step: Step, work: Work) -> Timing:
        """See `Lanes`."""
        begin_s = time.perf_counter()
        work()
        return HostTiming((time.perf_counter() - begin_s) * 1000)

    def alone(self, work: Work) -> None:
        """See `Lanes`."""
        work()


class Streams:
    """A CUDA stream a lane, events between them. For one thread at a time.

    Frames go first: `out` has a higher priority, so that the write of keys and values beside
    it fills what the decoder leaves free.
    """

    def __init__(self, device: torch.device) -> None:
        self.streams = {
            lane: torch.cuda.Stream(device, priority=-1 if lane == "out" else 0) for lane in LANES
        }
        self._ends: dict[str, torch.cuda.Event] = {}

    def run(self, step: Step, work: Work) -> Timing:
        """See `Lanes`."""
        stream = self.streams[step.lane]
        for name in (*step.after, *step.behind):
            if STEPS[name].lane != step.lane and name in self._ends:
                stream.wait_event(self._ends[name])
        if step.lane == "main":
            stream.wait_stream(torch.cuda.current_stream())  # a prompt's keys are made there
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.stream(stream):
            begin.record(stream)
            work()
            end.record(stream)
        self._ends[step.name] = end
        return DeviceTiming(begin, end)

    def alone(self, work: Work) -> None:
        """See `Lanes`."""
        main = self.streams["main"]
        for stream in (*self.streams.values(), torch.cuda.current_stream()):
            main.wait_stream(stream)
        with torch.cuda.stream(main):
            work()
        for stream in self.streams.values():
            stream.wait_stream(main)
