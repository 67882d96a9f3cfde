"""What a run writes down: TensorBoard events, and charts of Weights & Biases where it is there."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from tests.trainer.small_run import HEIGHT, WIDTH, changes
from trainer.logs.run_log import Recorder
from trainer.phases import phase_settings

VIDEO = np.zeros((3, HEIGHT, WIDTH, 3), dtype=np.uint8)


def settings(tmp_path, **log: Any):
    return phase_settings(changes(tmp_path / "run", None, "align", log=log))


def test_tensorboard_has_the_numbers_and_the_samples(tmp_path):
    recorder = Recorder(settings(tmp_path, tensorboard=True), 0)
    recorder.numbers(0, {"loss": 2.0, "look/flatness": 0.25})
    recorder.numbers(1, {"loss": 1.5})
    recorder.video(2, "0", VIDEO)
    recorder.close()
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"))
    events.Reload()
    assert [(e.step, e.value) for e in events.Scalars("loss")] == [(0, 2.0), (1, 1.5)]
    assert events.Scalars("look/flatness")[0].value == 0.25
    shown = events.Images("samples/0")[0]
    assert (shown.step, shown.width, shown.height) == (2, WIDTH, HEIGHT)
    assert shown.encoded_image_string.startswith(b"GIF89a")


class Charts(ModuleType):
    """In the place of `wandb`: keeps what it is told."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.__spec__ = ModuleSpec("wandb", None)
        self.begun: list[dict[str, Any]] = []
        self.rows: list[tuple[int, dict[str, Any]]] = []
        self.finished = 0

    def init(self, **options: Any) -> Charts:
        self.begun.append(options)
        return self

    def log(self, values: dict[str, Any], step: int) -> None:
        assert not self.rows or step >= self.rows[-1][0], "its charts take no step backwards"
        self.rows.append((step, values))

    def Video(self, path: str, format: str) -> tuple[str, str]:
        return path, format

    def finish(self) -> None:
        self.finished += 1


def test_charts_get_numbers_samples_and_settings_and_a_resumed_run_goes_on_in_them(
    tmp_path, monkeypatch
):
    charts = Charts()
    monkeypatch.setitem(sys.modules, "wandb", charts)
    config = settings(tmp_path, wandb="streets")
    for begin in (0, 2):
        recorder = Recorder(config, begin)
        recorder.numbers(begin, {"loss": 2.0})
        recorder.numbers(begin + 1, {"loss": 1.0})
        recorder.video(begin + 2, "0", VIDEO)
        recorder.close()
    assert charts.finished == 2
    first, second = charts.begun
    assert first["id"] == second["id"]
    assert first["project"] == "streets"
    assert first["config"]["model"]["width"] == WIDTH
    assert [step for step, row in charts.rows if "loss" in row] == [0, 1, 2, 3]
    samples = [(step, row["samples/0"][0]) for step, row in charts.rows if "samples/0" in row]
    assert [step for step, _ in samples] == [1, 3]
    assert samples[1][1] == str(tmp_path / "run" / "samples" / "00000004-0.mp4")


def test_charts_that_cannot_be_written_are_reported(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("trainer.logs.run_log.find_spec", lambda name: None)
    Recorder(settings(tmp_path, wandb="streets"), 0).close()
    assert "wandb is not installed" in caplog.text


@pytest.mark.parametrize("start", [0, 1, 2])
def test_what_is_done_again_is_cut_from_the_record(tmp_path, start: int):
    config = settings(tmp_path)
    recorder = Recorder(config, 0)
    for step in range(2):
        recorder.numbers(step, {"loss": 1.0})
    recorder.close()
    Recorder(config, start).close()
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == start
