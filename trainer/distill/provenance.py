"""Provenance of a student: a file beside its weights that says how they were trained."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

from trainer.logs.run_log import METRICS
from trainer.settings import TrainConfig

PROVENANCE_FILE = "provenance.json"
FORMER_FILE = "made.json"
"""The file's name in renderers of before; the same content."""
LAST = 100
"""Steps that the metrics are means of."""


def last_metrics(folder: Path) -> dict[str, float]:
    """Means of the numbers that a run wrote down in its last steps."""
    file = folder / METRICS
    if not file.is_file():
        return {}
    lines = file.read_text(encoding="utf-8").splitlines()[-LAST:]
    rows = [json.loads(line) for line in lines]
    names = sorted({name for row in rows for name in row if name != "step"})
    values = {name: [row[name] for row in rows if name in row] for name in names}
    return {name: sum(column) / len(column) for name, column in values.items()}


def read_provenance(folder: Path | None) -> dict[str, Any] | None:
    """The provenance of a renderer, when it has one; under the former name as well."""
    if folder is None:
        return None
    for name in (PROVENANCE_FILE, FORMER_FILE):
        if (folder / name).is_file():
            record = json.loads((folder / name).read_text(encoding="utf-8"))
            assert isinstance(record, dict)
            return record
    return None


def provenance(config: TrainConfig, teacher: Path | None) -> dict[str, Any]:
    """Phase, steps, teacher, the run's last metrics, hardware; and, nested, the provenance of what
    it started from.

    `teacher`: the folder that was learned from; None: clips alone.
    """
    stream = config.model.stream
    return {
        "phase": config.phase,
        "steps": config.steps,
        "batch": config.batch,
        "chunk": stream.chunk,
        "timesteps": list(stream.timesteps),
        "first_timesteps": list(stream.first_timesteps or stream.timesteps),
        "teacher": None if teacher is None else str(teacher),
        "metrics": last_metrics(config.folder),
        "hardware": _hardware(config),
        "torch": torch.__version__,
        "finished": time.strftime("%Y-%m-%d"),
        "began_as": None if config.start.folder is None else str(config.start.folder),
        "before": read_provenance(config.start.folder),
    }


def _hardware(config: TrainConfig) -> str:
    if config.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
