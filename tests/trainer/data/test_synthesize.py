"""`c2r data synthesize`: whole sets, stopped and resumed ones, and programs that fail.

Most tests replace JuPedSim, the sample game and Blender by small programs that write files of the
same format and fail on demand. The last one runs the real ones.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from PIL import Image

from c2r.__main__ import run
from street.city.clip_folder import load_clip_folder
from street.city.take import load_take
from street.director.programs import ROOT, Programs, studio_python
from tests.trainer.fake_studio import Studio
from trainer.data.manifest import read_manifest
from trainer.data.synthesize import command, scene_run
from trainer.data.synthesize.command import synthesize
from trainer.data.synthesize.scene_list import SetConfig, scene_list
from trainer.data.synthesize.scene_run import DiskFull

SET = SetConfig(scenes=3, held_out=1, pairs=1, frames=5, width=48, height=32)
ONE = replace(SET, scenes=1, held_out=0)


class Usage(NamedTuple):
    """What `shutil.disk_usage` tells."""

    total: int
    used: int
    free: int


@pytest.fixture
def studio(tmp_path: Path) -> Studio:
    return Studio(tmp_path / "studio")


def files(out: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(out)): path.read_bytes()
        for path in sorted(out.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The set, made without any fault, and the programs that it took."""
    folder = tmp_path_factory.mktemp("whole")
    studio = Studio(folder / "studio")
    assert synthesize(folder / "set", SET, studio.programs()) == {}
    return folder / "set", studio.log()


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set of one paired scene."""
    folder = tmp_path_factory.mktemp("single")
    assert synthesize(folder / "set", ONE, Studio(folder / "studio").programs()) == {}
    return folder / "set"


def test_a_set_has_every_clip_with_what_the_manifest_says(whole: tuple[Path, list[str]]):
    out, log = whole
    clips = read_manifest(out / "manifest.jsonl", check="all")
    assert [clip.id for clip in clips] == [spec.id for spec in scene_list(SET)]
    assert [clip.split for clip in clips] == ["held_out", "train", "train", "train"]
    assert [clip.control is not None for clip in clips] == [True, True, False, False]
    assert ["level" in clip.attributes for clip in clips] == [True, True, False, False]
    for clip in clips:
        take = load_take((out / clip.video).parent)
        assert (take.header.seed, take.header.caption) == (clip.seed, clip.caption)
        assert clip.attributes["hour"] in clip.caption
    assert sorted(log) == ["record_take"] * 2 + ["render_take"] * 4 + ["walk"] * 4
    left = {p.name for p in (out / "clips" / "train-00001").iterdir()}
    assert left == {"attributes.json", "take.json", "tracks.npz", "fine.mp4", "row.json"}


def test_a_set_has_a_contact_sheet_and_a_report(whole: tuple[Path, list[str]]):
    out, _ = whole
    with Image.open(out / "contact.png") as sheet:
        assert sheet.size[0] > 4 * SET.width
        assert len(sheet.convert("RGB").getcolors(1 << 20) or ()) > 50
    report = (out / "report.md").read_text()
    assert "| train | 3 | 1 | 15 |" in report
    assert "| held_out | 1 | 1 | 5 |" in report
    assert "| noon | 2 | 0 | 0 | 0 | 0 |" in report
    assert "Failed" not in report


def test_a_whole_set_is_not_made_again(whole: tuple[Path, list[str]], studio: Studio):
    out, _ = whole
    before = files(out)
    assert synthesize(out, SET, studio.programs()) == {}
    assert studio.log() == []
    assert files(out) == before


def test_coarse_clips_can_be_added_to_a_set_and_not_be_taken_away(
    whole: tuple[Path, list[str]], studio: Studio, tmp_path: Path
):
    shutil.copytree(whole[0], tmp_path / "set")
    more = replace(SET, pairs=3)
    assert synthesize(tmp_path / "set", more, studio.programs()) == {}
    assert studio.log() == ["record_take"] * 2
    fresh = Studio(tmp_path / "other")
    assert synthesize(tmp_path / "fresh", more, fresh.programs()) == {}
    assert files(tmp_path / "set") == files(tmp_path / "fresh")
    with pytest.raises(ValueError, match="pairs was 3 and is now 1"):
        synthesize(tmp_path / "set", SET, studio.programs())


def test_two_jobs_make_the_files_of_one(
    whole: tuple[Path, list[str]], studio: Studio, tmp_path: Path
):
    assert synthesize(tmp_path / "set", SET, studio.programs(), jobs=2) == {}
    assert files(tmp_path / "set") == files(whole[0])


@pytest.mark.parametrize(
    ("fault", "log"),
    [
        ("walk-garbage", ["walk", "walk", "record_take", "render_take"]),
        ("record-short", ["walk", "record_take", "record_take", "render_take"]),
        ("record-bare", ["walk", "record_take", "record_take", "render_take"]),
        ("fine-dies", ["walk", "record_take", "render_take", "render_take"]),
        ("fine-short", ["walk", "record_take", "render_take", "render_take"]),
        ("fine-garbage", ["walk", "record_take", "render_take", "render_take"]),
        ("fine-fails-late", ["walk", "record_take", "render_take", "render_take"]),
    ],
)
def test_a_program_that_fails_once_is_run_again_and_nothing_else(
    single: Path, studio: Studio, tmp_path: Path, fault: str, log: list[str]
):
    studio.break_down(fault, 1)
    assert synthesize(tmp_path / "set", ONE, studio.programs()) == {}
    assert [line for line in studio.log() if not line.startswith("fault")] == log
    assert files(tmp_path / "set") == files(single)


def test_a_scene_that_keeps_failing_is_listed_and_the_rest_go_on(
    whole: tuple[Path, list[str]], studio: Studio, tmp_path: Path
):
    out = tmp_path / "set"
    studio.break_down("fine-full", 2)
    failed = synthesize(out, SET, studio.programs())
    assert list(failed) == ["held_out-00000"]
    assert "render_take ended with exit code 1" in failed["held_out-00000"]
    assert "No space left on device" in failed["held_out-00000"]
    assert len(read_manifest(out / "manifest.jsonl", check="all")) == 3
    assert "* held_out-00000: render_take ended" in (out / "report.md").read_text()
    studio.log()
    assert synthesize(out, SET, studio.programs()) == {}
    assert studio.log() == ["render_take"]
    assert files(out) == files(whole[0])


def test_a_program_that_hangs_is_ended(single: Path, studio: Studio, tmp_path: Path):
    """Only the fine clip is missing, so that the short timeout meets no other program."""
    shutil.copytree(single, tmp_path / "set")
    (tmp_path / "set" / "clips" / "train-00000" / "fine.mp4").unlink()
    studio.break_down("fine-hangs", 2)
    failed = synthesize(tmp_path / "set", ONE, studio.programs(timeout=2.0))
    assert "render_take did not end within 2 s" in failed["train-00000"]


def test_lost_and_changed_files_are_made_again(
    whole: tuple[Path, list[str]], studio: Studio, tmp_path: Path
):
    out = tmp_path / "set"
    shutil.copytree(whole[0], out)
    (out / "clips" / "train-00000" / "geometry.npz").unlink()
    (out / "clips" / "train-00001" / "fine.mp4").write_bytes(b"changed")
    (out / "clips" / "train-00002" / "row.json").write_text("{")
    assert synthesize(out, SET, studio.programs()) == {}
    assert studio.log() == ["record_take", "render_take"]
    assert files(out) == files(whole[0])


@pytest.mark.parametrize(("how", "code"), [(signal.SIGKILL, -9), (signal.SIGTERM, 130)])
def test_a_killed_run_continues(studio: Studio, tmp_path: Path, how: signal.Signals, code: int):
    """Killed while the second scene is rendered: the first is not made again."""
    out = tmp_path / "set"
    options = ["--scenes", "2", "--pairs", "0", "--frames", "5", "--size", "48x32", "--jobs", "1"]
    line = [sys.executable, "-m", "c2r", "data", "synthesize", *options]
    line += ["--out", str(out), "--studio", str(studio.python)]
    marker = ".fine-*/fine/0000.png"
    second = out / "clips" / "train-00001"
    studio.break_down("fine-hangs", 1, after=1)
    with subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as first:
        deadline = time.monotonic() + 120
        while not (list(second.glob(marker)) and (out / "manifest.jsonl").read_text()):
            assert first.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.02)
        first.send_signal(how)
        assert first.wait(60) == code
    assert [clip.id for clip in read_manifest(out / "manifest.jsonl")] == ["train-00000"]
    next(second.glob(marker)).unlink()  # the replacement leaves an empty image
    studio.log()
    again = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert again.returncode == 0, again.stderr
    assert studio.log() == ["render_take"]
    config = replace(SET, scenes=2, held_out=0, pairs=0)
    synthesize(tmp_path / "straight", config, studio.programs())
    assert files(out) == files(tmp_path / "straight")


def test_another_set_in_the_same_folder_is_refused(whole: tuple[Path, list[str]], studio: Studio):
    out, _ = whole
    before = files(out)
    with pytest.raises(ValueError, match="frames was 5 and is now 9") as text:
        synthesize(out, replace(SET, frames=9, pairs=0), studio.programs())
    assert "pairs was 1 and is now 0" in str(text.value)
    assert files(out) == before


def test_a_full_disk_stops_the_run_and_says_so(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(scene_run.shutil, "disk_usage", lambda _: Usage(10, 10, 0))
    with pytest.raises(DiskFull, match="make room and run it again"):
        synthesize(tmp_path / "set", SET, studio.programs())
    assert studio.log() == []


def test_a_disk_that_fills_up_on_the_way_stops_the_run(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    asked: list[Path] = []

    def disk(path: Path) -> Usage:
        asked.append(path)
        return Usage(10, 10, 0 if len(asked) > 1 else 1 << 40)

    studio.break_down("fine-full", 9)
    monkeypatch.setattr(scene_run.shutil, "disk_usage", disk)
    with pytest.raises(DiskFull, match="make room"):
        synthesize(tmp_path / "set", SET, studio.programs())
    assert studio.log().count("render_take") == 1


def test_a_missing_studio_names_its_make_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("C2R_STUDIO", str(tmp_path / "none"))
    assert run(["data", "synthesize", "--scenes", "1", "--out", str(tmp_path / "set")]) == 2
    assert "make studio" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_two_runs_do_not_share_a_folder(studio: Studio, tmp_path: Path):
    options = ["--scenes", "1", "--frames", "5", "--studio", str(studio.python)]
    with command._exclusive(tmp_path), pytest.raises(ValueError, match="another run is active"):
        command.main([*options, "--out", str(tmp_path)])


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--frames", "16"], "1 + 4n"),
        (["--size", "256"], "WIDTHxHEIGHT"),
        (["--scenes", "0"], "at least one scene"),
        (["--jobs", "0"], "at least one scene at a time"),
        ([], "--out is missing"),
        (["--config", "none.yaml"], "none.yaml"),
    ],
)
def test_impossible_options_are_one_line(
    options: list[str], reason: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    out = ["--out", str(tmp_path / "set")] if options else []
    assert run(["data", "synthesize", *options, *out]) == 2
    assert reason in capsys.readouterr().err


def test_the_small_set_is_what_was_promised(capsys: pytest.CaptureFixture[str]):
    chosen = command.parser().parse_args(["--config", str(ROOT / "trainer/configs/small_set.yaml")])
    config = command._config(chosen)
    specs = scene_list(config)
    train = [spec for spec in specs if spec.split == "train"]
    assert (len(train), len(specs) - len(train)) == (150, 12)
    assert sum(spec.paired for spec in train) == 120
    assert (config.frames, config.width, config.height, config.fps) == (49, 512, 288, 16.0)
    assert run(["data", "synthesize", "--dry-run", "--scenes", "2", "--held-out", "1"]) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("train-00001", "held_out-00000", "noon", "follow", "mid"))


def test_the_command_lists_what_it_knows(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        run(["data", "--help"])
    assert end.value.code == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("synthesize", "curate", "encode"))
    assert run(["data", "bake"]) == 2
    assert "unknown command 'bake'" in capsys.readouterr().err


def test_a_real_scene_through_jupedsim_panda_and_blender(tmp_path: Path):
    try:
        python = studio_python()
    except ValueError as error:
        pytest.skip(str(error))
    found = subprocess.run([str(python), "-c", "import bpy, jupedsim"], capture_output=True)
    if found.returncode:
        pytest.skip(f"{python} has no Blender or JuPedSim; run `make studio`")
    config = SetConfig(scenes=1, frames=5, width=96, height=64, samples=1)
    assert synthesize(tmp_path / "set", config, Programs(python)) == {}
    (clip,) = read_manifest(tmp_path / "set" / "manifest.jsonl", check="all")
    geometry, log = load_clip_folder((tmp_path / "set" / clip.video).parent)
    assert geometry.depth.shape == (5, 64, 96)
    assert len(log.frames) == 5
    assert json.loads((tmp_path / "set/clips/train-00000/attributes.json").read_text())
    assert (tmp_path / "set" / clip.video).stat().st_size > 1000
