"""Results of benches: JSON files, columns of text, and all that `make bench-gpu` finds.

Imports no rich: `make bench-gpu` runs without it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.bench.gpu_profile import Ceilings, StageRow
from runtime.bench.latency_sweep import HEAD, SweepRow, cells
from runtime.bench.parity import Check

STAGES = ("stage", "ms", "TFLOP", "TFLOP/s", "floor ms", "share")
CHECKS = ("check", "passed", "PSNR dB", "cosine", "note")
SPEED = ("configuration", "transport", "FPS", "chunk p50", "p99", "latency", "first", "peak GiB")


def write_json(path: Path, content: Any) -> None:
    """Write the file whole or not at all; numbers that are not finite become null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    text = json.dumps(_finite(content), indent=2, allow_nan=False)
    partial.write_text(text + "\n", encoding="utf-8")
    partial.replace(path)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of columns, flush right; none without rows."""
    if not rows:
        return []
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = []
    for row in (head, *rows):
        padded = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
        lines.append("  ".join(padded))
    return [*lines, ""]


@dataclass(frozen=True)
class SpeedRow:
    """One configuration, everything counted. Times in milliseconds, memory in GiB."""

    name: str
    transport: str
    fps: float
    chunk_p50_ms: float
    chunk_p99_ms: float
    latency_p50_ms: float
    first_picture_ms: float
    peak_gib: float | None


@dataclass
class Findings:
    """Everything that was found. `left_out`: for lack of time; `failed`: what ended in an error."""

    preset: str
    device: str
    dtype: str
    versions: dict[str, str]
    tuning: dict[str, Any] = field(default_factory=dict)
    ceilings: Ceilings | None = None
    checks: list[Check] = field(default_factory=list)
    speed: list[SpeedRow] = field(default_factory=list)
    sweep: list[SweepRow] = field(default_factory=list)
    stages: list[StageRow] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether something was checked, every check passed, and nothing ended in an error."""
        return bool(self.checks) and not self.failed and all(one.passed for one in self.checks)


def tables(found: Findings) -> str:
    """Everything, what matters most last."""
    lines = [f"{found.preset} on {found.device}, {found.dtype}, {found.seconds:.0f} s", ""]
    lines += table(HEAD, [cells(row) for row in found.sweep])
    lines += table(STAGES, [_stage_cells(row) for row in found.stages])
    if found.ceilings is not None:
        lines += [_ceiling_line(found.ceilings), ""]
    lines += table(CHECKS, [_check_cells(row) for row in found.checks])
    lines += table(SPEED, [_speed_cells(row) for row in found.speed])
    lines += [f"left out: {what}" for what in found.left_out]
    return "\n".join([*lines, *(f"FAILED: {what}" for what in found.failed)])


def _stage_cells(row: StageRow) -> tuple[str, ...]:
    if not row.tflop:
        return row.stage, f"{row.ms:.2f}", "", "", "", ""
    numbers = f"{row.ms:.2f}", f"{row.tflop:.2f}", f"{row.tflops:.0f}", f"{row.floor_ms:.2f}"
    return row.stage, *numbers, f"{row.share:.0%}"


def _ceiling_line(found: Ceilings) -> str:
    fp8 = "not measured" if found.fp8_tflops is None else f"{found.fp8_tflops:.0f} TFLOP/s"
    products = f"products {found.product_tflops:.2f} TFLOP/s"
    return f"{products}, FP8 {fp8}, copies {found.copy_tb_s:.2f} TB/s"


def _check_cells(row: Check) -> tuple[str, ...]:
    psnr = f"{row.psnr_db:.1f}" if math.isfinite(row.psnr_db) else "same"
    return row.name, "yes" if row.passed else "NO", psnr, f"{row.cosine:.5f}", row.note


def _speed_cells(row: SpeedRow) -> tuple[str, ...]:
    times = row.chunk_p50_ms, row.chunk_p99_ms, row.latency_p50_ms, row.first_picture_ms
    peak = "" if row.peak_gib is None else f"{row.peak_gib:.1f}"
    return row.name, row.transport, f"{row.fps:.1f}", *(f"{time:.1f}" for time in times), peak
