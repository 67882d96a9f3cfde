"""A small server for the tests of serving, a renderer that does as it is told, and a clock."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

from c2r.models.presets import get_preset
from c2r.weights.renderer import seeded_networks
from c2r.wire import CoarseFrame, OpenRequest, ResetReason
from c2r.wire.formats import Codec, CodecLists, SideChannel
from runtime.core import Frames
from runtime.pipeline.pipeline import ChunkOutput, Pipeline, VideoState
from runtime.pipeline.stage_timer import Timing
from runtime.server.server import RunningServer, start_server
from runtime.session.session import Session
from runtime.session.settings import ServeSettings

torch.set_num_threads(1)

PRESET = get_preset("debug")
FIRST, LATER = PRESET.chunk_frames(True), PRESET.chunk_frames(False)
RAW = CodecLists((Codec.RAW,), (Codec.RAW,))
PATIENCE_S = 60.0
"""No test waits as long: what takes longer hangs."""
SETTINGS = ServeSettings(
    port=0,
    side_channels=tuple(SideChannel),
    warm_chunks=0,
    first_message_s=PATIENCE_S,
    keepalive_s=30.0,
    drain_s=PATIENCE_S,
    flush_s=PATIENCE_S,
)


@cache
def pipeline() -> Pipeline:
    """The debug renderer; one for all tests."""
    return Pipeline(seeded_networks(PRESET, seed=1))


class SlowPipeline(Pipeline):
    """A renderer that takes its time, and fails when told to.

    `chunk_s`: added to each chunk. `held`: each chunk waits for its `release` instead. `faults`,
    `write_faults`: errors to raise, the next first; None renders.
    """

    def __init__(self, chunk_s: float = 0.0, *, held: bool = False) -> None:
        super().__init__(pipeline().networks)
        self.chunk_s, self.held = chunk_s, held
        self.faults: list[Exception | None] = []
        self.write_faults: list[Exception | None] = []
        self.seeds: list[int] = []
        """Of the streams whose chunks were begun, in order."""
        self._released = threading.Semaphore(0)

    @property
    def started(self) -> int:
        """Chunks that were begun."""
        return len(self.seeds)

    def release(self, chunks: int = 1) -> None:
        """Let so many chunks be rendered."""
        self._released.release(chunks)

    def release_all(self) -> None:
        """Hold no chunk any more."""
        self.held = False
        self._released.release()

    def render(
        self, state: VideoState, frames: Frames, text: Any, strength: float = 1.0
    ) -> ChunkOutput:
        self.seeds += state.stream.seeds
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        if self.held:
            assert self._released.acquire(timeout=PATIENCE_S), "nobody released this chunk"
        time.sleep(self.chunk_s)
        return super().render(state, frames, text, strength)

    def finalize(self, state: VideoState, output: ChunkOutput) -> Timing:
        if self.write_faults and (fault := self.write_faults.pop(0)) is not None:
            raise fault
        return super().finalize(state, output)


class Clock:
    """Seconds that pass only when a test says so."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@contextmanager
def stopped_clock() -> Iterator[Clock]:
    """Have sessions read a clock of the test's; tasks still sleep by the machine's."""
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        for module in ("reader", "chunk_queue", "writer", "stream"):
            patch.setattr(f"runtime.session.{module}.perf_counter", clock)
        yield clock


def run(test: Coroutine[Any, Any, None], timeout_s: float = PATIENCE_S) -> None:
    """Run an asynchronous test; nothing may hang."""

    async def bounded() -> None:
        async with asyncio.timeout(timeout_s):
            await test

    asyncio.run(bounded())


@asynccontextmanager
async def serving(source: Any = None, **settings: Any) -> AsyncIterator[RunningServer]:
    """A ready server on a port of its own."""
    server = await start_server(source or pipeline(), replace(SETTINGS, **settings))
    try:
        await server.ready()
        yield server
    finally:
        await server.stop()


async def until(condition: Callable[[], Any]) -> Any:
    """What `condition` gives as soon as it is true."""
    async with asyncio.timeout(PATIENCE_S):
        while not (result := condition()):
            await asyncio.sleep(0.002)
        return result


def only_session(server: RunningServer) -> Session:
    """The server's side of the one session that is on a stream."""
    (session,) = server.admission.active
    return session


async def received(server: RunningServer, frames: int) -> None:
    """Wait until the one session has so many frames."""
    await until(lambda: only_session(server).stats.received >= frames)


async def emptied(server: RunningServer) -> None:
    """Wait until every slot is free."""
    await until(lambda: server.admission.slots_taken == 0)


async def parked(server: RunningServer) -> None:
    """Wait until no session is on a stream."""
    await until(lambda: not server.admission.active)


def images(count: int, seed: int = 0) -> np.ndarray:
    """Coarse images `[count, height, width, 3]`."""
    size = (count, PRESET.height, PRESET.width, 3)
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def frames(count: int, seed: int = 0, first_id: int = 0, resets: Sequence[int] = ()) -> list:
    """Coarse frames; those whose place is in `resets` carry a reset."""
    return [
        CoarseFrame(
            frame_id=first_id + index,
            capture_time_us=1_000_000 + 1000 * index,
            rgb=image,
            reset=ResetReason.CUT if index in resets else None,
        )
        for index, image in enumerate(images(count, seed))
    ]


def request(**changes: Any) -> OpenRequest:
    """An `open` for the small server."""
    base = OpenRequest(PRESET.width, PRESET.height, 16.0, RAW, prompt="noon", seed=5)
    return replace(base, **changes)


def direct(
    coarse: np.ndarray, seed: int = 5, prompt: str = "noon", resets: Sequence[int] = ()
) -> np.ndarray:
    """What the pipeline gives for whole chunks, called directly; reset at `resets`."""
    renderer = pipeline()
    state, text = renderer.open(seed), renderer.text(renderer.prompt(prompt))
    parts, done = [], 0
    while done < len(coarse):
        if done in resets:
            state.reset()
        count = renderer.frames_wanted(state)
        rendered = renderer.render(state, coarse[done : done + count], text)
        renderer.finalize(state, rendered)
        parts.append(rendered.frames)
        done += count
    return np.concatenate(parts)
