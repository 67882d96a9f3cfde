"""How a student was made: a file beside its weights that goes with them wherever they go."""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch

from trainer.logs.run_log import METRICS
from trainer.settings import TrainConfig

STORY_FILE = "made.json"
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
    return {name: sum(found) / len(found) for name, found in values.items()}


def read_story(folder: Path | None) -> dict[str, Any] | None:
    """The story of a renderer, when it has one."""
    if folder is None or not (folder / STORY_FILE).is_file():
        return None
    found = json.loads((folder / STORY_FILE).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def story(config: TrainConfig, teacher: Path | None) -> dict[str, Any]:
    """Phase, steps, teacher, the run's last metrics, hardware; and the story of what it began as.

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
        "before": read_story(config.start.folder),
    }


def _hardware(config: TrainConfig) -> str:
    if config.device != "cpu" and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f"{platform.machine()} CPU, {torch.get_num_threads()} threads"
