"""Clips on disk: written and read back, resampled by time, fitted without stretching, refused."""

from __future__ import annotations

import subprocess
import sys

import av
import numpy as np
import pytest
from PIL import Image

from c2r.clips import VideoClip, VideoWriter, read_clip, write_image


def clip(frames: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Flat frames whose grey says which they are."""
    return [np.full((height, width, 3), 10 + 8 * index, np.uint8) for index in range(frames)]


def write(path, frames, fps=16):
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)


def grey(frames) -> list[int]:
    return [round((float(frame.mean()) - 10) / 8) for frame in frames]


def test_round_trip(tmp_path):
    write(tmp_path / "a.mp4", clip(13))
    found = list(read_clip(tmp_path / "a.mp4", width=64, height=48, fps=16))
    assert grey(found) == list(range(13))
    assert found[0].shape == (48, 64, 3)
    assert found[0].dtype == np.uint8


def test_resampled_by_time(tmp_path):
    write(tmp_path / "a.mp4", clip(24), fps=24)
    half = grey(read_clip(tmp_path / "a.mp4", width=64, height=48, fps=12))
    assert half[:12] == list(range(0, 24, 2))
    double = grey(read_clip(tmp_path / "a.mp4", width=64, height=48, fps=48))
    assert double[:8] == [0, 1, 1, 2, 2, 3, 3, 4], "each instant has the frame nearest to it"


@pytest.mark.parametrize("fps", [8, 16, 24])
def test_a_late_start_gives_the_same_frames(tmp_path, fps):
    frames = np.random.default_rng(3).integers(0, 255, (12, 32, 48, 3), np.uint8)
    write(tmp_path / "clip.mp4", list(frames), 16)
    whole = list(VideoClip(tmp_path / "clip.mp4", 48, 32, fps))
    for start in (0, 1, len(whole) - 1, len(whole) + 2):
        late = list(VideoClip(tmp_path / "clip.mp4", 48, 32, fps, start))
        assert len(late) == max(0, len(whole) - start)
        assert all((a == b).all() for a, b in zip(late, whole[start:], strict=True))


def test_cover_crop_does_not_stretch(tmp_path):
    """A circle stays a circle: a wide frame loses its sides, a high one its top and bottom."""
    rows, columns = np.mgrid[:96, :192]
    circle = ((rows - 48) ** 2 + (columns - 96) ** 2 < 40**2)[..., None] * np.uint8(255)
    write_image(tmp_path / "wide" / "0.png", np.repeat(circle, 3, axis=2))
    (frame,) = read_clip(tmp_path / "wide", width=96, height=96, fps=16)
    inside = frame[..., 0] > 127
    assert inside.any(axis=0).sum() == pytest.approx(inside.any(axis=1).sum(), abs=1)
    assert inside.any(axis=0).sum() == pytest.approx(80, abs=2)


def test_images_in_natural_order(tmp_path):
    for index, frame in enumerate(clip(12)):
        write_image(tmp_path / f"frame{index}.png", frame)
    (tmp_path / "notes.txt").write_text("not an image")
    assert grey(read_clip(tmp_path, width=64, height=48, fps=16)) == list(range(12))


def test_what_cannot_be_read(tmp_path):
    settings = {"width": 64, "height": 48, "fps": 16}
    with pytest.raises(ValueError, match="there is no clip"):
        list(read_clip(tmp_path / "absent.mp4", **settings))
    with pytest.raises(ValueError, match="holds no images"):
        list(read_clip(tmp_path, **settings))
    (tmp_path / "a.mp4").write_bytes(b"not a video at all" * 50)
    with pytest.raises(ValueError, match=r"a\.mp4 is no video"):
        list(read_clip(tmp_path / "a.mp4", **settings))
    (tmp_path / "b.png").write_bytes(b"nor an image")
    with pytest.raises(ValueError, match=r"b\.png is no image"):
        list(read_clip(tmp_path, **settings))
    with pytest.raises(ValueError, match="give a positive number"):
        list(read_clip(tmp_path / "a.mp4", width=64, height=48, fps=0))


def test_audio_alone_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), layout="mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(ValueError, match="no video track"):
        list(read_clip(tmp_path / "a.wav", width=64, height=48, fps=16))


def test_an_error_leaves_what_was_there(tmp_path):
    path = tmp_path / "b.mp4"
    path.write_bytes(b"an older video")
    refused = pytest.raises(ValueError, match="takes frames")
    with refused, VideoWriter(path, 16) as writer:
        writer.write(np.zeros((48, 64), np.uint8))
    assert path.read_bytes() == b"an older video"
    with pytest.raises(ValueError, match="this one is 32x64x3"):
        write(path, [*clip(2), *clip(1, height=32)])
    assert [file.name for file in tmp_path.iterdir()] == ["b.mp4"], "half a video was left"


def test_written_images_are_exact(tmp_path):
    frame = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    write_image(tmp_path / "new" / "a.png", frame)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "new" / "a.png")), frame)


def test_imports_no_torch():
    code = "import sys, c2r.clips; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
