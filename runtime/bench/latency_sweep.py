"""Choices for latency, measured side by side: chunk, window, steps, and the first chunk.

A frame waits until its chunk is gathered and then until the chunk is rendered; frames of a chunk
are shown at the rate at which its frames came. So every frame of a chunk is seen as late as its
first one: after the others of the chunk have come, and the chunk has been rendered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from c2r.models.configs import Preset
from runtime.bench.measure import Measured, measure_local
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline

TIMESTEPS = {4: (1000.0, 750.0, 500.0, 250.0), 2: (1000.0, 500.0), 1: (1000.0,)}
"""Steps to a student's timesteps, before the shift."""


SWEPT = ("chunk", "window", "sink", "timesteps", "first_timesteps", "first_chunk")
"""What of a preset's stream a `Setting` replaces."""


@dataclass(frozen=True)
class Setting:
    """One choice: latents of a chunk and of the window, steps, and latents of the first chunk."""

    chunk: int
    window: int
    steps: int
    first_chunk: int | None = None

    def of(self, preset: Preset) -> Preset:
        """The preset with this choice; the sink shrinks where the window leaves it no room."""
        stream = replace(
            preset.stream,
            chunk=self.chunk,
            window=self.window,
            sink=min(preset.stream.sink, self.window - self.chunk),
            timesteps=TIMESTEPS[self.steps],
            first_timesteps=None,
            first_chunk=self.first_chunk,
        )
        return replace(preset, stream=stream)


SETTINGS = (
    Setting(3, 9, 4),
    Setting(3, 9, 4, first_chunk=1),
    Setting(1, 9, 4),
    *(Setting(3, window, steps) for window in (9, 6, 12) for steps in (2, 1)),
    *(Setting(chunk, window, 4) for chunk in (3, 1) for window in (6, 12)),
    *(Setting(1, window, steps) for window in (9, 6, 12) for steps in (2, 1)),
)
"""Every choice; those that tell most come first, for runs that end early."""


@dataclass(frozen=True)
class SweepRow:
    """What one choice gives. Times in milliseconds; `rate` frames a second come in.

    `visible_ms`: from a coarse frame to the rendered one, `gather_ms` of it waiting for the chunk.
    `keeps_up`: the renderer is at least as fast as the frames come.
    """

    setting: Setting
    fps: float
    chunk_p50_ms: float
    chunk_p99_ms: float
    gather_ms: float
    visible_ms: float
    first_picture_ms: float
    kv_gib: float
    keeps_up: bool


def row_of(setting: Setting, pipeline: Pipeline, measured: Measured, rate: float) -> SweepRow:
    """A measured choice as a row."""
    frames, first = (pipeline.preset.chunk_frames(order) for order in (False, True))
    fps = 1000 * measured.frames_rendered / measured.busy_ms
    gather_ms = 1000 * (frames - 1) / rate
    return SweepRow(
        setting=setting,
        fps=fps,
        chunk_p50_ms=float(np.percentile(measured.chunk_ms, 50)),
        chunk_p99_ms=float(np.percentile(measured.chunk_ms, 99)),
        gather_ms=gather_ms,
        visible_ms=gather_ms + float(np.percentile(measured.latency_ms, 50)),
        first_picture_ms=1000 * (first - 1) / rate + measured.ttff_warm_ms,
        kv_gib=pipeline.rollout.cache_spec().nbytes / 2**30,
        keeps_up=fps >= rate,
    )


def sweep(
    settings: Sequence[Setting],
    make: Callable[[Setting], Pipeline],
    coarse_of: Callable[[Preset], Frames],
    *,
    chunks: int,
    rate: float,
    seed: int,
    on_row: Callable[[SweepRow], None],
) -> list[SweepRow]:
    """One row per setting. `make` gives its pipeline, which is let go before the next is made."""
    rows = []
    for setting in settings:
        pipeline = make(setting)
        coarse = coarse_of(pipeline.preset)
        measured = measure_local(pipeline, coarse, chunks=chunks, seed=seed, on_chunk=lambda: None)
        rows.append(row_of(setting, pipeline, measured, rate))
        on_row(rows[-1])
        del pipeline
    return rows


HEAD = (
    "chunk", "window", "steps", "first", "FPS", "chunk p50", "p99", "gather", "to visible",
    "first frame", "K/V GiB", "keeps up",
)  # fmt: skip
"""Of a table of rows; times in milliseconds."""


def cells(row: SweepRow) -> tuple[str, ...]:
    """A row for people."""
    setting = row.setting
    times = row.chunk_p50_ms, row.chunk_p99_ms, row.gather_ms, row.visible_ms, row.first_picture_ms
    return (
        str(setting.chunk),
        str(setting.window),
        str(setting.steps),
        str(setting.first_chunk or setting.chunk),
        f"{row.fps:.1f}",
        *(f"{time:.0f}" for time in times),
        f"{row.kv_gib:.2f}",
        "yes" if row.keeps_up else "no",
    )
