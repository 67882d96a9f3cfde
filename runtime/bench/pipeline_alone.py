"""`c2r bench --transport none`: the pipeline alone, chunk after chunk."""

from __future__ import annotations

import time
from collections.abc import Callable

from c2r.streaming.fill_levels import fill_levels
from runtime.bench.measured import Measured
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.stage_timer import HostTiming, Timing

PROMPT = "a city street at noon, people walking, photorealistic"


def first_frame_ms(pipeline: Pipeline, coarse: Frames, seed: int) -> float:
    """From opening a stream to its first pictures."""
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

    A chunk begins when the pictures of the one before are there: its keys and values may still be
    on their way, as when serving. `chunk_ms`: from pictures to pictures.
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
