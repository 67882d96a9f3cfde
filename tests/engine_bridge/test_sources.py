"""Sources: shapes, rates, order, and errors that name the file."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from c2r.clips.fit import cover
from c2r.wire import CoarseFrame, ResetReason
from engine_bridge.sources import ImageFolder, Source, SyntheticSource, VideoFile


def ticking():
    """A clock that goes up by a millisecond with every call."""
    count = itertools.count(1000, 1000)
    return lambda: next(count)


def check_stream(frames: Sequence[CoarseFrame], source: Source) -> None:
    """What every source promises."""
    assert [frame.frame_id for frame in frames] == list(range(len(frames)))
    assert frames[0].reset is not None
    assert all(frame.reset is None for frame in frames[1:])
    assert all(frame.size == (source.width, source.height) for frame in frames)
    times = [frame.capture_time_us for frame in frames]
    assert times == sorted(set(times))
    assert all(frame.frame_delta_ms == pytest.approx(1000 / source.fps) for frame in frames[1:])
    assert not any(
        np.shares_memory(one.rgb, other.rgb) for one, other in itertools.pairwise(frames)
    )


# Synthetic


def test_synthetic_boxes_move_and_repeat_from_their_seed() -> None:
    source = SyntheticSource(64, 36, 10.0, seed=3, clock=ticking())
    frames = list(itertools.islice(source, 12))
    check_stream(frames, source)
    assert (frames[0].rgb != frames[11].rgb).any()
    again = list(itertools.islice(SyntheticSource(64, 36, 10.0, seed=3), 12))
    assert all((one.rgb == two.rgb).all() for one, two in zip(frames, again, strict=True))
    other = next(iter(SyntheticSource(64, 36, 10.0, seed=4)))
    assert (other.rgb != frames[0].rgb).any()


def test_synthetic_motion_does_not_depend_on_the_rate() -> None:
    slow, fast = SyntheticSource(64, 36, 10.0, seed=1), SyntheticSource(64, 36, 20.0, seed=1)
    assert (slow.image(5) == fast.image(10)).all()


@pytest.mark.parametrize("shape", [(0, 8, 1.0), (8, -1, 1.0), (8, 8, 0.0), (8, 8, float("nan"))])
def test_shapes_that_are_none_are_refused(shape: tuple[int, int, float]) -> None:
    with pytest.raises(ValueError, match="give a positive"):
        SyntheticSource(*shape)


# Covering


@pytest.mark.parametrize(
    ("have", "want", "box"),
    [
        ((200, 100), (50, 50), (50, 0, 100, 100)),
        ((100, 200), (50, 50), (0, 50, 100, 100)),
        ((64, 36), (832, 468), (0, 0, 64, 36)),
        ((1920, 1080), (256, 144), (0, 0, 1920, 1080)),
        ((1, 1), (16, 9), (0, 0, 1, 1)),
    ],
)
def test_covering_cuts_off_evenly_and_never_stretches(
    have: tuple[int, int], want: tuple[int, int], box: tuple[int, int, int, int]
) -> None:
    assert cover(have, want) == box


# Images


def save(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (32, 16)) -> None:
    Pillow.new("RGB", size, colour).save(path)


def test_images_come_in_natural_order(tmp_path: Path) -> None:
    for number in (1, 2, 10, 11, 100):
        save(tmp_path / f"shot{number}.png", (number, 0, 0))
    (tmp_path / "notes.txt").write_text("no image", encoding="utf-8")
    source = ImageFolder(tmp_path, 32, 16, 12.0, clock=ticking())
    frames = list(source)
    check_stream(frames, source)
    assert [int(frame.rgb[0, 0, 0]) for frame in frames] == [1, 2, 10, 11, 100]
    assert len(source) == 5


def test_an_image_of_another_shape_is_cut_not_stretched(tmp_path: Path) -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, :40] = (255, 0, 0)
    wide[:, 40:80] = (0, 255, 0)
    wide[:, 80:] = (0, 0, 255)
    Pillow.fromarray(wide).save(tmp_path / "wide.png")
    (frame,) = ImageFolder(tmp_path, 20, 20, 1.0)
    assert (frame.rgb == (0, 255, 0)).all(), "only the middle is left"


def test_grey_palette_and_transparent_images_are_read(tmp_path: Path) -> None:
    Pillow.new("L", (32, 16), 77).save(tmp_path / "a.png")
    Pillow.new("RGBA", (32, 16), (10, 20, 30, 0)).save(tmp_path / "b.png")
    Pillow.new("RGB", (32, 16), (9, 9, 200)).convert("P").save(tmp_path / "c.png")
    grey, clear, palette = (frame.rgb[0, 0].tolist() for frame in ImageFolder(tmp_path, 32, 16, 1))
    assert (grey, clear) == ([77, 77, 77], [10, 20, 30])
    assert palette[2] > 100 > palette[0]


def test_a_folder_without_images_and_a_path_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no images"):
        ImageFolder(tmp_path, 32, 16, 1.0)
    with pytest.raises(ValueError, match=r"absent is no folder"):
        ImageFolder(tmp_path / "absent", 32, 16, 1.0)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"not an image", "is no image"), (b"", "is no image"), (None, "cannot be decoded")],
)
def test_a_broken_image_is_named(tmp_path: Path, content: bytes | None, words: str) -> None:
    path = tmp_path / "broken.png"
    if content is None:
        noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
        Pillow.fromarray(noise).save(path)
        content = path.read_bytes()[:6000]
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        list(ImageFolder(tmp_path, 32, 16, 1.0))
    assert "broken.png" in str(caught.value)


def test_deep_images_are_refused_with_advice(tmp_path: Path) -> None:
    Pillow.fromarray(np.full((16, 32), 40000, np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(ValueError, match="8-bit"):
        list(ImageFolder(tmp_path, 32, 16, 1.0))


# Video


def write_clip(
    path: Path,
    levels: Sequence[int],
    fps: Fraction | int = 30,
    size: tuple[int, int] = (64, 32),
    times: Sequence[int] | None = None,
) -> None:
    """Frames of even grey; `times` in milliseconds where they are uneven."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": "1"}
        if times is not None:
            stream.codec_context.time_base = Fraction(1, 1000)
        for index, level in enumerate(levels):
            grey = np.full((size[1], size[0], 3), level, np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="rgb24")
            if times is not None:
                frame.pts, frame.time_base = times[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def read_levels(source: VideoFile) -> list[int]:
    """The nearest of the levels 20, 30, ... of each frame."""
    return [round(float(frame.rgb.mean()) / 10) * 10 for frame in source]


LEVELS = list(range(20, 220, 10))


@pytest.mark.parametrize(
    ("have", "want", "expected"),
    [
        (30, 30.0, LEVELS),
        (30, 15.0, LEVELS[::2]),
        (30, 10.0, LEVELS[::3]),
        (15, 30.0, [level for level in LEVELS for _ in range(2)]),
    ],
)
def test_a_clip_is_resampled_by_timestamps(
    tmp_path: Path, have: int, want: float, expected: list[int]
) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, LEVELS, have)
    levels = read_levels(VideoFile(path, 64, 32, want))
    # A repeated frame may lie half a step early or late; the rate and the order are what count.
    assert abs(len(levels) - len(expected)) <= 1
    if want <= have:
        assert levels[: len(expected)] == expected[: len(levels)]
    else:
        assert levels == sorted(levels)
        assert set(levels) == set(expected)


def test_uneven_timestamps_are_honoured(tmp_path: Path) -> None:
    path = tmp_path / "uneven.mkv"
    write_clip(path, [40, 80, 120, 160], times=[0, 100, 460, 600])
    levels = read_levels(VideoFile(path, 64, 32, 10.0))
    assert levels[:7] == [40, 80, 80, 120, 120, 120, 160]


def test_a_clip_keeps_the_promises_of_a_source(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, LEVELS[:8], 15)
    source = VideoFile(path, 48, 32, 24.0, clock=ticking())
    frames = list(source)
    check_stream(frames, source)
    assert frames[0].reset is ResetReason.CUT
    assert [frame.frame_id for frame in source] == [frame.frame_id for frame in frames], "again"


def test_a_clip_of_another_shape_is_cut_not_stretched(tmp_path: Path) -> None:
    path = tmp_path / "bars.mp4"
    bars = np.zeros((64, 192, 3), np.uint8)
    bars[:, :64], bars[:, 64:128], bars[:, 128:] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 192, 64, "yuv420p"
        stream.options = {"crf": "1"}
        container.mux(stream.encode(av.VideoFrame.from_ndarray(bars, format="rgb24")))
        container.mux(stream.encode())
    (frame, *_) = VideoFile(path, 32, 32, 10.0)
    inner = frame.rgb[2:-2, 3:-3].reshape(-1, 3).mean(axis=0)
    assert inner[1] > 170
    assert inner[0] < 30
    assert inner[2] < 30


def test_a_clip_recorded_on_its_side_is_turned_upright(tmp_path: Path) -> None:
    """A telephone held upright: the track's matrix turns the frame clockwise by a quarter."""
    path = tmp_path / "phone.mp4"
    image = np.full((32, 64, 3), 30, np.uint8)
    image[:16, :32] = 220
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    data, one = path.read_bytes(), 0x10000
    upright = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    turned = struct.pack(">9i", 0, one, 0, -one, 0, 0, 0, 0, 1 << 30)
    at = data.index(upright, data.index(b"tkhd"))
    path.write_bytes(data[:at] + turned + data[at + len(turned) :])
    (frame, *_) = VideoFile(path, 32, 64, 10.0)
    assert frame.size == (32, 64)
    assert frame.rgb[2:28, 20:30].mean() > 200, "its top left is now at the top right"
    assert frame.rgb[2:28, 2:12].mean() < 50
    assert frame.rgb[36:, :].mean() < 50


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, [0, 128, 255], 10)
    black, grey, white, *_ = (float(frame.rgb.mean()) for frame in VideoFile(path, 64, 32, 10.0))
    assert black < 3
    assert abs(grey - 128) < 3
    assert white > 252


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "is no video"), (b"plain text, no clip" * 99, "is no video")]
)
def test_a_file_that_is_no_video_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "broken.mp4"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as caught:
        VideoFile(path, 32, 16, 10.0)
    assert "broken.mp4" in str(caught.value)
    assert "ffmpeg" in str(caught.value)


def test_a_missing_file_and_one_without_frames(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"absent\.mp4 is no file"):
        VideoFile(tmp_path / "absent.mp4", 32, 16, 10.0)
    path = tmp_path / "sound.wav"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), "s16", "mono")
        sound.sample_rate = 8000
        container.mux(stream.encode(sound))
    with pytest.raises(ValueError, match="no video track"):
        VideoFile(path, 32, 16, 10.0)


def test_a_clip_cut_short_is_named(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, LEVELS, 30)
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"clip\.mp4 is no video"):
        VideoFile(path, 64, 32, 30.0)


def test_a_clip_damaged_in_the_middle_says_where(tmp_path: Path) -> None:
    path = tmp_path / "clip.mov"
    noise = np.random.default_rng(2).integers(0, 256, (12, 32, 64, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "rgb24"
        for image in noise:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    data = bytearray(path.read_bytes())
    marks = [at for at in range(len(data)) if data.startswith(b"\x89PNG", at)]
    data[marks[6] : marks[6] + 30] = bytes(30)
    path.write_bytes(data)
    source = iter(VideoFile(path, 64, 32, 10.0))
    first = [next(source) for _ in range(5)]
    assert (first[4].rgb == noise[4]).all()
    with pytest.raises(ValueError, match=r"clip\.mov is damaged after 0\.\d+ s"):
        list(source)
