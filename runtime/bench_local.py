"""`c2r bench --transport none`: the pipeline alone, chunk after chunk."""

from __future__ import annotations

import time
from collections.abc import Callable

from runtime.measured import Measured
from runtime.pipeline import Pictures, Pipeline

PROMPT = "a city street at noon, people walking, photorealistic"


def first_frame_ms(pipeline: Pipeline, coarse: Pictures, seed: int) -> float:
    """From opening a stream to its first pictures."""
    begin = time.perf_counter()
    state = pipeline.open(seed)
    text = pipeline.text(pipeline.prompt(PROMPT))
    pipeline.render(state, coarse[: pipeline.frames_wanted(state)], text)
    return (time.perf_counter() - begin) * 1000


def chunks_to_fill(pipeline: Pipeline) -> int:
    """Chunks until the cache is full and its window has moved once."""
    stream = pipeline.preset.stream
    return -(-stream.window // stream.chunk) + 1


def measure_local(
    pipeline: Pipeline, coarse: Pictures, *, chunks: int, seed: int, on_chunk: Callable[[], None]
) -> Measured:
    """Fill the cache, then measure `chunks` chunks of `coarse` `[chunk_frames, H, W, 3]`."""
    measured = Measured(left_out=("transport and codecs", "waiting for the frames of a chunk"))
    measured.ttff_cold_ms = first_frame_ms(pipeline, coarse, seed)
    measured.ttff_warm_ms = first_frame_ms(pipeline, coarse, seed)
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(PROMPT))
    for index in range(-chunks_to_fill(pipeline), chunks):
        wanted = pipeline.frames_wanted(state)
        begin = time.perf_counter()
        rendered = pipeline.render(state, coarse[:wanted], text)
        latency_ms = (time.perf_counter() - begin) * 1000
        write_ms = pipeline.finalize(state, rendered)
        if index >= 0:
            measured.busy_ms += (time.perf_counter() - begin) * 1000
            measured.latency_ms.append(latency_ms)
            measured.frames_sent += wanted
            measured.frames_rendered += wanted
            measured.note({**rendered.stages_ms, "kv_write": write_ms})
        on_chunk()
    return measured
