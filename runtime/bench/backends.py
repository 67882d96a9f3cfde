"""`c2r bench --compare`: one backend beside the other, stage by stage, on the machine at hand.

Every backend runs the same networks on the same frames; how far its pictures are from the first
one's stands beside its times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from c2r.report import Report
from runtime.bench.pipeline_alone import PROMPT
from runtime.bench.results import write_json
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline

PARITY_CHUNKS = 4


@dataclass(frozen=True)
class BackendRow:
    """One backend. `psnr_db`: of its pictures against the first backend's; None: the same ones.

    `latents_off`: |difference| / |first backend's| of the clean latents, which tell more than the
    pictures of random weights.
    """

    backend: str
    psnr_db: float | None
    latents_off: float
    report: Report


@dataclass(frozen=True)
class Streamed:
    """The beginning of a stream: frames `[F, H, W, 3]`, clean latents `[1, T, C, h, w]`."""

    frames: Frames
    latents: Tensor


def check_compared(names: Sequence[str]) -> None:
    """`ValueError` for a backend that is named twice."""
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"--compare {twice[0]}: it is measured already; name each backend once")


def compare_backends(
    pipelines: Mapping[str, Pipeline],
    coarse: Frames,
    measure: Callable[[str, Pipeline], Report],
    seed: int,
) -> list[BackendRow]:
    """A row a backend, the first being what the others are held against.

    `coarse`: frames of a later chunk `[F, H, W, 3]`. `measure` gives a backend's times.
    """
    rows: list[BackendRow] = []
    first: Streamed | None = None
    for name, pipeline in pipelines.items():
        found = streamed(pipeline, coarse, seed)
        first = found if first is None else first
        psnr = psnr_db(first.frames, found.frames)
        off = float((found.latents - first.latents).norm() / first.latents.norm())
        rows.append(BackendRow(name, psnr, off, measure(name, pipeline)))
    return rows


def streamed(pipeline: Pipeline, coarse: Frames, seed: int) -> Streamed:
    """The first chunks of a stream, each of the same frames."""
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(PROMPT))
    pictures, latents = [], []
    for _ in range(PARITY_CHUNKS):
        rendered = pipeline.render(state, coarse[: pipeline.frames_wanted(state)], text)
        pipeline.finalize(state, rendered)
        pictures.append(rendered.frames)
        latents.append(rendered.chunk.clean)
    return Streamed(np.concatenate(pictures), torch.cat(latents, dim=1))


def psnr_db(expected: Frames, found: Frames) -> float | None:
    """Peak signal-to-noise ratio of 8-bit pictures; None when they are equal."""
    error = float(((expected.astype(np.float64) - found) ** 2).mean())
    return None if error == 0 else 10 * math.log10(255**2 / error)


def table_of(rows: Sequence[BackendRow]) -> Table:
    """Medians in milliseconds, a stage a row, a backend a column."""
    first = rows[0].report
    title = f"{first.preset} {first.width}x{first.height} on {first.device}"
    made = Table("p50, ms", *(row.backend for row in rows), title=title)
    for stage in first.stages_ms:
        made.add_row(stage, *(f"{row.report.stages_ms[stage].p50:.1f}" for row in rows))
    made.add_row("latency", *(f"{row.report.latency_ms.p50:.1f}" for row in rows))
    made.add_row("FPS", *(f"{row.report.fps_steady:.2f}" for row in rows))
    psnr = ("same" if row.psnr_db is None else f"{row.psnr_db:.1f}" for row in rows)
    made.add_row(f"PSNR to {rows[0].backend}, dB", *psnr)
    made.add_row("latents off by", *(f"{row.latents_off:.1e}" for row in rows))
    return made


def write_rows(path: Path, rows: Sequence[BackendRow]) -> None:
    """As JSON."""
    write_json(path, {"backends": [asdict(row) for row in rows]})
