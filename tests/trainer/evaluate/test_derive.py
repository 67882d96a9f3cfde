"""Ratios to the bounds and shares of a teacher's improvement; choices that are refused."""

from __future__ import annotations

import json

import pytest

from tests.trainer.evaluate import scenes
from trainer.data.manifest import read_manifest
from trainer.evaluate.derive import derive, kept, monotone, ratio
from trainer.evaluate.options import chosen_clips, named_folders, parser, read_prompts, renderings
from trainer.evaluate.results import Evaluation, Measured, mean_of


def row(kid: float, structure: float, fine: float, warp: float, prompt: float | None) -> dict:
    values = {"kid": kid, "structure": structure, "structure_fine": fine, "warp": warp}
    found = {name: Measured(value, 12, 588) for name, value in values.items()}
    return found | {"prompt": Measured(prompt, 12, 588)}


ROWS = {
    "coarse": row(2.0, 1.0, 0.4, 1.0, None),
    "fine": row(0.0, 0.5, 1.0, 4.0, 1.0),
    "teacher": row(0.5, 0.45, 0.8, 5.0, 0.9),
    "student": row(0.8, 0.4, 0.72, 6.0, 0.8),
}


def test_the_derived_numbers():
    found = derive(ROWS, "teacher")["student"]
    assert found["kid_to_coarse"] == pytest.approx(0.4)
    assert found["structure_to_fine"] == pytest.approx(0.8)
    assert found["warp_to_fine"] == pytest.approx(1.5)
    assert found["prompt_percent"] == pytest.approx(80)
    assert found["kept_kid"] == pytest.approx(0.8)
    assert found["kept_structure"] == pytest.approx(0.8)
    assert derive(ROWS, "teacher")["teacher"]["kept_kid"] == 1
    assert "kept_kid" not in derive(ROWS)["student"]
    assert derive(ROWS)["coarse"]["prompt_percent"] is None


def test_no_share_of_no_improvement():
    assert kept(2.0, 1.0, 2.5, down=True) is None
    assert kept(0.4, 0.5, 0.3, down=False) is None
    assert kept(2.0, 2.5, 1.0, down=True) == -0.5
    assert ratio(1.0, 0.0) is None
    assert ratio(None, 1.0) is None


def test_a_teacher_must_be_one_of_the_outputs():
    for name in ("coarse", "tutor"):
        with pytest.raises(ValueError, match="teacher, student"):
            derive(ROWS, name)


def test_monotone():
    assert monotone([0.1, 0.2, 0.4])
    assert not monotone([0.1, 0.1, 0.4])


def test_a_report_says_how_many_clips_each_value_stands_on(tmp_path):
    rows = {
        "coarse": {"warp": mean_of({"a": 1.0, "b": 3.0}, 18), "revisit": mean_of({"b": 2.0}, 9)}
    }
    report = Evaluation(rows, {}, {"frames": 9}, {"kid": "abc"})
    assert report.cells()["coarse"]["revisit"] == "2.00 (N=1)"
    assert report.cells()["coarse"]["warp"] == "2.00"
    report.write(tmp_path / "report.json")
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["rows"]["coarse"]["warp"]["by_clip"] == {"a": 1.0, "b": 3.0}
    assert found["rows"]["coarse"]["warp"]["deviation"] == 1
    assert found["definitions"]["warp"]["better"] == "down"
    assert found["versions"]["torchmetrics"]


def test_names_of_outputs(tmp_path):
    assert named_folders([f"a={tmp_path}"], "--outputs") == {"a": tmp_path}
    assert named_folders([str(tmp_path)], "--outputs") == {tmp_path.name: tmp_path}
    for wrong in (f"fine={tmp_path}", f"a/b={tmp_path}", f"={tmp_path}", f"a={tmp_path}/none"):
        with pytest.raises(ValueError, match="--outputs"):
            named_folders([wrong], "--outputs")
    with pytest.raises(ValueError, match="name of its own"):
        named_folders([f"a={tmp_path}", f"a={tmp_path}"], "--outputs")


def test_a_row_for_each_strength():
    chosen = parser().parse_args(["--strength", "0", "0.5", "1", "--steps", "3"])
    found = renderings(chosen)
    assert [r.strength for r in found.values()] == [0, 0.5, 1]
    assert list(found) == [" at 0", " at 0.5", " at 1"]
    assert list(renderings(parser().parse_args([]))) == [""]
    swept = renderings(parser().parse_args(["--text-scale", "3", "5", "--rescale", "0", "0.7"]))
    assert list(swept)[1] == ", text scale 3, rescale 0.7"
    scales = [(r.guidance.text_scale, r.guidance.rescale) for r in swept.values()]
    assert scales == [(3, 0), (3, 0.7), (5, 0), (5, 0.7)]
    without = renderings(parser().parse_args(["--no-control"]))[" without control"]
    assert not without.control
    with pytest.raises(ValueError, match="--steps 0"):
        renderings(parser().parse_args(["--steps", "0"]))


def test_clips_without_a_counterpart_are_left_out_and_noted(data):
    clips = list(read_manifest(data / "manifest.jsonl"))
    bare = scenes.write_clip(data, 900, "held_out", "noon", "clear")
    bare = type(bare)(**{**vars(bare), "control": None, "control_hash": None})
    found, left_out = chosen_clips([*clips, bare], "held_out", None)
    assert [clip.id for clip in found] == ["held_out-200", "held_out-201"]
    assert left_out == ["1 clips of held_out without a coarse counterpart"]
    assert len(chosen_clips(clips, "train", 3)[0]) == 3
    with pytest.raises(ValueError, match="none with a coarse counterpart"):
        chosen_clips([bare], "held_out", None)


def test_prompts_are_read_from_a_file(data, tmp_path):
    clips = read_manifest(data / "manifest.jsonl")
    file = tmp_path / "asked.json"
    row = {"caption": "a wall at night", "hour": "night", "weather": "clear"}
    file.write_text(json.dumps({"held_out-200": row}))
    assert read_prompts(file, clips)["held_out-200"].attributes["hour"] == "night"
    for wrong in ('{"x": {}}', "[1]", "no", json.dumps({"other": row})):
        file.write_text(wrong)
        with pytest.raises(ValueError, match=r"asked\.json"):
            read_prompts(file, clips)
