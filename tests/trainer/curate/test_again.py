"""Running again: after success, after a kill, with other settings, other files, on Ray."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.trainer.curate.folder import arguments
from tests.trainer.curate.footage import pan, write
from trainer.data.curate.command import main
from trainer.data.curate.processes import in_processes
from trainer.data.curate.settings import CurateSettings
from trainer.data.curate.sources import Source
from trainer.data.curate.state import RunOptions, Task, task_of
from trainer.data.manifest import read_manifest

ROOT = Path(__file__).parents[3]
TABLES = ("manifest.jsonl", "rejected.jsonl", "report.html")


def contents(out: Path) -> dict[str, bytes]:
    """Every file that a run leaves, but for its own records."""
    files = [path for path in out.rglob("*") if path.is_file() and ".work" not in path.parts]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in files}


def times(out: Path) -> dict[str, int]:
    """When each clip and each record was written."""
    files = [*(out / "clips").iterdir(), *(out / ".work").iterdir()]
    return {path.name: path.stat().st_mtime_ns for path in files}


@pytest.fixture
def one(tmp_path: Path) -> Path:
    """A folder with one video in it."""
    folder = tmp_path / "one"
    folder.mkdir()
    write(folder / "a.mp4", pan(1, 32))
    return folder


def test_a_second_run_does_no_work(videos: Path, curated: Path, capsys: pytest.CaptureFixture[str]):
    before, tables = times(curated), contents(curated)
    assert main(arguments(videos, curated)) == 0
    assert times(curated) == before
    assert contents(curated) == tables
    assert "0 files curated" in capsys.readouterr().err
    record = next((curated / ".work").glob("*.json"))
    assert "looks" in json.loads(record.read_text()), "the key that older records have"


def test_killed_and_taken_up_again_gives_the_same_files(
    videos: Path, curated: Path, tmp_path: Path
):
    out = tmp_path / "out"
    code = "import sys; from trainer.data.curate.command import main; main(sys.argv[1:])"
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments(videos, out)], cwd=ROOT, stderr=subprocess.DEVNULL
    ) as process:
        deadline = time.monotonic() + 60
        while len(list((out / ".work").glob("*.json"))) < 4:
            assert process.poll() is None, "it ended before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    assert not (out / "manifest.jsonl").exists()
    done = {path: path.stat().st_mtime_ns for path in (out / ".work").glob("*.json")}
    assert main(arguments(videos, out)) == 0
    assert sum(path.stat().st_mtime_ns == written for path, written in done.items()) >= 4
    assert contents(out) == contents(curated)


def test_other_settings_do_the_files_again(one: Path, tmp_path: Path):
    out = tmp_path / "out"
    main(arguments(one, out))
    first = {path.name: path.read_bytes() for path in (out / "clips").iterdir()}
    main(arguments(one, out, "--filters.min_motion=0.9"))
    assert len(first) == 1
    assert not list((out / "clips").iterdir()), "the clip of the old settings is still there"
    (row, _) = map(json.loads, (out / "rejected.jsonl").read_text().splitlines())
    assert row["reason"] == "still"
    main(arguments(one, out))
    assert {path.name: path.read_bytes() for path in (out / "clips").iterdir()} == first


def test_only_new_and_changed_files_are_done(one: Path, tmp_path: Path):
    out = tmp_path / "out"
    main(arguments(one, out))
    before = times(out)
    write(one / "b.mp4", pan(2, 32))
    main(arguments(one, out))
    assert before.items() <= times(out).items()
    assert len(read_manifest(out / "manifest.jsonl")) == 2
    write(one / "a.mp4", pan(3, 60))
    main(arguments(one, out))
    assert len(read_manifest(out / "manifest.jsonl", check="all")) == 3
    (one / "b.mp4").unlink()
    main(arguments(one, out))
    assert {clip.attributes["file"] for clip in read_manifest(out / "manifest.jsonl")} == {"a.mp4"}


def test_a_clip_that_was_lost_is_made_again(one: Path, tmp_path: Path):
    out = tmp_path / "out"
    main(arguments(one, out))
    (clip,) = (out / "clips").iterdir()
    data = clip.read_bytes()
    clip.unlink()
    main(arguments(one, out))
    assert clip.read_bytes() == data


class Poisoned(Task):
    """Ends the process that unpickles it, as a fault in a decoder's native code would."""

    def __reduce__(self):
        return os._exit, (11,)


def test_a_process_that_dies_takes_no_other_file_along(one: Path, tmp_path: Path):
    options = RunOptions(tmp_path / "out", CurateSettings(frames=17, width=160, height=96), "CC0")
    tasks = []
    for name in ("b.mp4", "c.mp4", "d.mp4"):
        shutil.copy(one / "a.mp4", one / name)
        tasks.append(task_of(Source(one, one / name, name), "a pattern", options))
    poisoned = Poisoned(tasks[1].source, "", "its fingerprint")
    done = list(in_processes([tasks[0], poisoned, tasks[2]], options, 2))
    assert sorted(done) == ["b.mp4", "c.mp4", "d.mp4"]
    records = [json.loads(path.read_text()) for path in (options.out / ".work").glob("*.json")]
    found = {
        record["name"]: (len(record["clips"]), [row["reason"] for row in record["rejected"]])
        for record in records
    }
    assert found["c.mp4"] == (0, ["crashed"])
    assert found["b.mp4"] == found["d.mp4"] == (1, ["remainder"])


def test_local_ray_gives_the_same_manifest(videos: Path, curated: Path, tmp_path: Path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    out = tmp_path / "out"
    assert main(arguments(videos, out, "--ray", "local")) == 0
    assert contents(out) == contents(curated)


def test_without_ray_the_extra_is_named(one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ValueError, match=r'pip install "c2r\[ray\]"'):
        main(arguments(one, tmp_path / "out", "--ray", "local"))


def test_a_cluster_that_is_not_there_is_refused(one: Path, tmp_path: Path):
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    with pytest.raises(ValueError, match="nothing answers there"):
        main(arguments(one, tmp_path / "out", "--ray", "127.0.0.1:1"))


def test_a_ray_that_does_not_start_is_said_to_be_so(
    one: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")

    def too_slow(**_: object) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", too_slow)
    with pytest.raises(ValueError, match=r"--ray local: .*timed out during startup"):
        main(arguments(one, tmp_path / "out", "--ray", "local"))
