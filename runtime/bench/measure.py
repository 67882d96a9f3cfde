"""What a bench run took, and how a pipeline alone is measured (`c2r bench --transport none`)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from c2r.streaming.fill_levels import fill_levels
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.stage_timer import HostTiming, Timing

PROMPT = "a city street at noon, people walking, photorealistic"


@dataclass
class Measured:
    """Times of the measured chunks in milliseconds; the cache is full from the first of them on.

    `ttff_cold_ms`: to the first frames of the first stream ever, `ttff_warm_ms` of a later one.
    `busy_ms`: from the start of the first measured chunk to the end of the last, K/V writes
    included. `chunk_ms`: from a chunk's frames to the next one's, or between their first replies.
    `left_out` says in words what the times do not contain.
    """

    ttff_cold_ms: float = 0.0
    ttff_warm_ms: float = 0.0
    frames_sent: int = 0
    frames_rendered: int = 0
    frames_dropped: int = 0
    busy_ms: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    chunk_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def note(self, stages_ms: dict[str, float]) -> None:
        """Add one chunk's stage times."""
        for name, value in stages_ms.items():
            self.stages_ms.setdefault(name, []).append(value)


def first_frame_ms(pipeline: Pipeline, coarse: Frames, seed: int) -> float:
    """From opening a stream to its first frames, in milliseconds."""
    begin = time.perf_counter()
    state = pipeline.open(seed)
    text = pipeline.text(pipeline.prompt(PROMPT))
    pipeline.render(state, coarse[: pipeline.frames_wanted(state)], text)
    return (time.perf_counter() - begin) * 1000


def chunks_to_fill(pipeline: Pipeline) -> int:
    """Chunks until the cache is full and its window has moved once."""
    stream = pipeline.preset.stream
    return len(fill_levels(stream.window, stream.chunk, pipeline.chunk_latents(True)))


def measure_local(
    pipeline: Pipeline, coarse: Frames, *, chunks: int, seed: int, on_chunk: Callable[[], None]
) -> Measured:
    """Fill the cache, then measure `chunks` chunks of `coarse` `[chunk_frames, H, W, 3]`.

    A chunk begins when the frames of the one before are there: its keys and values may still be
    being written, as when serving. `chunk_ms`: from frames to frames.
    """
    measured = Measured(left_out=("transport and codecs", "waiting for the frames of a chunk"))
    measured.ttff_cold_ms = first_frame_ms(pipeline, coarse, seed)
    measured.ttff_warm_ms = first_frame_ms(pipeline, coarse, seed)
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(PROMPT))
    written: Timing = HostTiming(0.0)
    begun = before = time.perf_counter()
    for index in range(-chunks_to_fill(pipeline), chunks):
        if index == 0:
            _ = written.ms  # the chunks before have left nothing behind
            before = begun = time.perf_counter()
        wanted = pipeline.frames_wanted(state)
        begin = time.perf_counter()
        rendered = pipeline.render(state, coarse[:wanted], text)
        now = time.perf_counter()
        written_before, written = written, pipeline.finalize(state, rendered)
        if index >= 0:
            measured.latency_ms.append((now - begin) * 1000)
            measured.chunk_ms.append((now - before) * 1000)
            measured.frames_sent += wanted
            measured.frames_rendered += wanted
            measured.note({**rendered.stages_ms, "kv_write": written_before.ms})
            before = now
        on_chunk()
    _ = written.ms
    measured.busy_ms = (time.perf_counter() - begun) * 1000
    return measured
