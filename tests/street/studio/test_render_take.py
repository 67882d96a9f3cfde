"""The fine command, run whole in the interpreter that has Blender."""

import json

import numpy as np
from PIL import Image


def pictures(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_every_frame_is_written_and_told(filmed, take):
    folder, said = filmed
    assert sorted(path.name for path in folder.iterdir()) == [
        "0000.npz", "0000.png", "0001.npz", "0001.png",
    ]  # fmt: skip
    assert [json.loads(line) for line in said.splitlines()] == [
        {"frame": 1, "frames": 2},
        {"frame": 2, "frames": 2},
    ]
    picture = np.asarray(Image.open(folder / "0000.png"))
    assert picture.shape == (take.header.height, take.header.width, 3)
    assert picture.std() > 12
    assert 12 < picture.mean() < 200


def test_killed_and_started_again_gives_the_same_files(filmed, studio, take_folder, tmp_path):
    folder, _ = filmed
    process = studio.start(
        "-m", "street.studio.render_take", take_folder, "--out", tmp_path, "--samples", 4
    )
    assert json.loads(process.stdout.readline())["frame"] == 1
    process.kill()
    process.communicate()
    first = (tmp_path / "fine" / "0000.png").stat().st_mtime_ns
    (tmp_path / "fine" / "0001.png").unlink(missing_ok=True)
    studio.fine(take_folder, tmp_path, "--samples", 4, "--threads", 2)
    # Bit-equal although another process, another frame first and another number of threads.
    assert pictures(tmp_path / "fine") == pictures(folder)
    assert (tmp_path / "fine" / "0000.png").stat().st_mtime_ns == first


def test_a_finished_film_is_left_alone(filmed, studio, take_folder):
    folder, _ = filmed
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    said = studio.fine(take_folder, folder.parent, "--samples", 4, "--geometry")
    assert len(said.splitlines()) == 2
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_broken_take_is_a_short_error(studio, tmp_path):
    process = studio.start("-m", "street.studio.render_take", tmp_path, "--out", tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "holds no whole take" in errors
    assert "Traceback" not in errors
