"""The measurements of a run, in one form for demo and bench, so that files can be compared.

Imports no torch. Milliseconds everywhere; percentiles are of single values, not of means.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

PACKAGES = ("torch", "transformers", "diffusers", "grpcio", "protobuf", "av", "numpy")


@dataclass(frozen=True)
class Percentiles:
    """Percentiles of a series of measurements."""

    p50: float
    p90: float
    p99: float


def percentiles(values: Sequence[float]) -> Percentiles:
    """Percentiles of a series; `ValueError` for an empty one."""
    if not values:
        raise ValueError("nothing was measured; let the run last longer")
    return Percentiles(*(float(value) for value in np.percentile(values, (50, 90, 99))))


def versions() -> dict[str, str]:
    """Python, the machine and the packages that matter, as installed."""
    installed = {"python": platform.python_version(), "machine": platform.machine()}
    for name in PACKAGES:
        try:
            installed[name] = version(name)
        except PackageNotFoundError:
            continue
    return installed


def processor_name() -> str:
    """The processor's name, or its architecture where the system does not name it."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


@dataclass(frozen=True)
class Report:
    """One run. `left_out`: what the times do not contain, in words."""

    preset: str
    weights: str
    device: str
    width: int
    height: int
    frames_sent: int
    frames_rendered: int
    frames_dropped: int
    fps_steady: float
    ttff_ms: float
    latency_ms: Percentiles
    stages_ms: Mapping[str, Percentiles]
    left_out: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=versions)
    cores: int = field(default_factory=lambda: os.cpu_count() or 1)

    def write(self, path: Path) -> None:
        """Write JSON, atomically."""
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(path)

    def table(self) -> Table:
        """Stage times for a terminal."""
        title = (
            f"{self.preset} {self.width}x{self.height} on {self.device}: "
            f"{self.fps_steady:.2f} FPS, first frame after {self.ttff_ms:.0f} ms"
        )
        table = Table("stage", "p50 ms", "p90 ms", "p99 ms", title=title)
        for name, row in {**self.stages_ms, "end to end": self.latency_ms}.items():
            table.add_row(name, *(f"{value:.1f}" for value in (row.p50, row.p90, row.p99)))
        return table
