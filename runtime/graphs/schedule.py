"""The stream schedule of a chunk as data: its steps, the CUDA stream of each, what each waits for.

The lists of what a step waits for are complete: any order that keeps them gives the same frames.
`Sequential` is the reference implementation, `CudaStreams` the fast one.
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
    """One step of a chunk: on `stream`, once the steps named in both lists are over.

    `after`: steps of its own chunk. `after_previous`: steps of the chunk before.
    """

    name: str
    stream: str
    after: tuple[str, ...] = ()
    after_previous: tuple[str, ...] = ()


CHUNK = (
    Step("upload", "in", after_previous=("dino", "denoise")),
    Step("dino", "in", after=("upload",), after_previous=("control",)),
    Step("control", "in", after=("dino",), after_previous=("control", "denoise")),
    Step("slide", "main", after_previous=("denoise", "kv_write")),
    Step("denoise", "main", after=("control", "slide"), after_previous=("kv_write", "vae")),
    Step("vae", "out", after=("denoise",), after_previous=("vae", "download")),
    Step("download", "out", after=("vae",), after_previous=("download",)),
    Step("kv_write", "main", after=("denoise",)),
)
"""`upload` and `dino` of a chunk run beside `vae` and `kv_write` of the one before.

There is one buffer for each intermediate result, so a step also waits for the readers of what it
overwrites: `upload` for `dino` (the pixels) and `denoise` (which copies them for the decoder),
`dino` for `control` (the features), `control` for `denoise` (the tokens, which it copies),
`denoise` for `vae` and `kv_write` (the clean latents), `vae` for `download` (the frames). With one
of these missing, a chunk shows parts of the next one; `tests/runtime/test_graphed.py` proves that
it notices.
"""

STREAMS = ("in", "main", "out")
STEPS = {step.name: step for step in CHUNK}


class StepRunner(Protocol):
    """Carries out steps as the schedule says."""

    def run(self, step: Step, work: Work) -> Timing:
        """Start a step when what it waits for is over; does not wait for it."""
        ...

    def exclusive(self, work: Work) -> None:
        """Work after every step before it, and before every step after it."""
        ...


class Sequential:
    """Each step is over before the next begins."""

    def run(self, step: Step, work: Work) -> Timing:
        begin_s = time.perf_counter()
        work()
        return HostTiming((time.perf_counter() - begin_s) * 1000)

    def exclusive(self, work: Work) -> None:
        work()


class CudaStreams:
    """A CUDA stream for each name in `STREAMS`, events between them. For one thread at a time.

    `out` has a higher priority: frames leave first, and the write of keys and values beside the
    decoder fills what that leaves free of the device.
    """

    def __init__(self, device: torch.device) -> None:
        self.streams = {
            name: torch.cuda.Stream(device, priority=-1 if name == "out" else 0) for name in STREAMS
        }
        self._ends: dict[str, torch.cuda.Event] = {}
        """The end of each step, of whichever chunk ran it last."""

    def run(self, step: Step, work: Work) -> Timing:
        stream = self.streams[step.stream]
        # Steps are started in the order of `CHUNK`, so the latest end of a step in `after` is that
        # of this chunk, and of one in `after_previous` that of the chunk before. Two steps of the
        # same stream keep their order without an event.
        for name in (*step.after, *step.after_previous):
            if STEPS[name].stream != step.stream and name in self._ends:
                stream.wait_event(self._ends[name])
        if step.stream == "main":
            # Keys and values of a prompt are made by the caller, on its current stream.
            stream.wait_stream(torch.cuda.current_stream())
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        with torch.cuda.stream(stream):
            begin.record(stream)
            work()
            end.record(stream)
        self._ends[step.name] = end
        return DeviceTiming(begin, end)

    def exclusive(self, work: Work) -> None:
        main = self.streams["main"]
        for stream in (*self.streams.values(), torch.cuda.current_stream()):
            main.wait_stream(stream)
        with torch.cuda.stream(main):
            work()
        for stream in self.streams.values():
            stream.wait_stream(main)
