"""`c2r bench --compare`: one backend beside the other, stage by stage, on this machine.

Every backend runs the same networks on the same frames; how far its frames are from the first
one's stands beside its times.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.table import Table

from c2r.report import Report
from runtime.bench.parity import PARITY_CHUNKS, StreamOutput, psnr_db, stream_output
from runtime.bench.report import write_json
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline


@dataclass(frozen=True)
class BackendRow:
    """One backend. `psnr_db`: of its frames compared with the first backend's; infinite: the same.

    `latents_off`: |difference| / |first backend's| of the clean latents, which tell more than the
    frames of random weights.
    """

    backend: str
    psnr_db: float
    latents_off: float
    report: Report


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
    """One row per backend, the first being what the others are compared with.

    `coarse`: frames of a later chunk `[F, H, W, 3]`. `measure` gives a backend's times.
    """
    rows: list[BackendRow] = []
    first: StreamOutput | None = None
    for name, pipeline in pipelines.items():
        output = stream_output(pipeline, coarse, seed, PARITY_CHUNKS)
        first = output if first is None else first
        psnr = psnr_db(first.frames, output.frames)
        off = float((output.latents - first.latents).norm() / first.latents.norm())
        rows.append(BackendRow(name, psnr, off, measure(name, pipeline)))
    return rows


def table_of(rows: Sequence[BackendRow]) -> Table:
    """Medians in milliseconds: one row per stage, one column per backend."""
    first = rows[0].report
    title = f"{first.preset} {first.width}x{first.height} on {first.device}"
    table = Table("p50, ms", *(row.backend for row in rows), title=title)
    for stage in first.stages_ms:
        table.add_row(stage, *(f"{row.report.stages_ms[stage].p50:.1f}" for row in rows))
    table.add_row("latency", *(f"{row.report.latency_ms.p50:.1f}" for row in rows))
    table.add_row("FPS", *(f"{row.report.fps_steady:.2f}" for row in rows))
    psnr = ("same" if math.isinf(row.psnr_db) else f"{row.psnr_db:.1f}" for row in rows)
    table.add_row(f"PSNR to {rows[0].backend}, dB", *psnr)
    table.add_row("latents off by", *(f"{row.latents_off:.1e}" for row in rows))
    return table


def write_rows(path: Path, rows: Sequence[BackendRow]) -> None:
    """As JSON."""
    write_json(path, {"backends": [asdict(row) for row in rows]})
