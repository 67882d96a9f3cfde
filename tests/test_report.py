"""Reports: percentiles, JSON, nothing half written."""

from __future__ import annotations

import json

import pytest

from c2r.report import Percentiles, Report, percentiles, processor_name, versions


def make(**changes) -> Report:
    settings = {
        "preset": "tiny",
        "weights": "random, seed 0",
        "device": "cpu",
        "width": 256,
        "height": 144,
        "frames_sent": 10,
        "frames_rendered": 9,
        "frames_dropped": 1,
        "fps_steady": 12.5,
        "ttff_ms": 300.0,
        "latency_ms": Percentiles(1, 2, 3),
        "stages_ms": {"dino": Percentiles(4, 5, 6)},
    }
    return Report(**{**settings, **changes})


def test_percentiles():
    found = percentiles([float(value) for value in range(101)])
    assert (found.p50, found.p90, found.p99) == (50, 90, 99)
    with pytest.raises(ValueError, match="nothing was measured"):
        percentiles([])


def test_json_carries_everything(tmp_path):
    make().write(tmp_path / "new" / "a.json")
    found = json.loads((tmp_path / "new" / "a.json").read_text())
    assert found["latency_ms"] == {"p50": 1, "p90": 2, "p99": 3}
    assert found["stages_ms"]["dino"]["p90"] == 5
    assert found["frames_sent"] == found["frames_rendered"] + found["frames_dropped"]
    assert found["versions"]["python"]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.json"]


def test_table_names_every_stage():
    columns = list(make().table().columns[0].cells)
    assert columns == ["dino", "end to end"]


def test_the_processor_has_a_name():
    assert processor_name().strip()


def test_versions_are_of_what_is_installed():
    assert "numpy" in versions()
