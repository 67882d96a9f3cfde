"""`render_take`, run whole in the interpreter that has Blender."""

import json

import numpy as np
from PIL import Image


def images(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.png"))}


def test_every_frame_is_written_and_reported(rendered, take):
    folder, output = rendered
    assert sorted(path.name for path in folder.iterdir()) == [
        "0000.npz", "0000.png", "0001.npz", "0001.png",
    ]  # fmt: skip
    assert [json.loads(line) for line in output.splitlines()] == [
        {"frame": 1, "frames": 2},
        {"frame": 2, "frames": 2},
    ]
    image = np.asarray(Image.open(folder / "0000.png"))
    assert image.shape == (take.header.height, take.header.width, 3)
    assert image.std() > 12
    assert 12 < image.mean() < 200


def test_killed_and_started_again_gives_the_same_files(rendered, studio, take_folder, tmp_path):
    folder, _ = rendered
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
    assert images(tmp_path / "fine") == images(folder)
    assert (tmp_path / "fine" / "0000.png").stat().st_mtime_ns == first


def test_a_finished_clip_is_left_alone(rendered, studio, take_folder):
    folder, _ = rendered
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    output = studio.fine(take_folder, folder.parent, "--samples", 4, "--geometry")
    assert len(output.splitlines()) == 2
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_broken_take_is_a_short_error(studio, tmp_path):
    process = studio.start("-m", "street.studio.render_take", tmp_path, "--out", tmp_path)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "holds no whole take" in errors
    assert "Traceback" not in errors
