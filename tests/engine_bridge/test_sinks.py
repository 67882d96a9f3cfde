"""Sinks: what is written can be read back, and mistakes are named."""

from __future__ import annotations

import os
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image as Pillow

from engine_bridge.sinks.contact_sheet import ContactSheet
from engine_bridge.sinks.files import ImageFolderSink, VideoSink
from engine_bridge.sinks.pairs import CAPACITY, Pair, PairMatcher, side_by_side
from tests.engine_bridge.client_rig import frame
from tests.engine_bridge.test_client_account import rendered


def level(value: int, width: int = 64, height: int = 32) -> np.ndarray:
    return np.full((height, width, 3), value, np.uint8)


def read_back(path: Path) -> list[tuple[float, float, tuple[int, int]]]:
    """Seconds, mean level and size of every frame."""
    with av.open(str(path)) as container:
        return [
            (one.time, float(one.to_ndarray(format="rgb24").mean()), (one.width, one.height))
            for one in container.decode(video=0)
        ]


def test_a_video_holds_its_frames_at_their_rate(tmp_path: Path) -> None:
    path = tmp_path / "new" / "out.mp4"
    with VideoSink(path, 16.0) as sink:
        for index in range(12):
            sink.write(level(20 * index), index + 7)
    written = read_back(path)
    assert [size for *_, size in written] == [(64, 32)] * 12
    assert [time for time, *_ in written] == pytest.approx(
        [index / 16 for index in range(12)], abs=1e-3
    )
    assert all(abs(mean - 20 * index) < 4 for index, (_, mean, _) in enumerate(written))
    sink.close()


def test_missing_frames_leave_their_time_in_the_video(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with VideoSink(path, 10.0) as sink:
        for frame_id in (4, 5, 15, 16):
            sink.write(level(10 * frame_id), frame_id)
    assert [time for time, *_ in read_back(path)] == pytest.approx([0, 0.1, 1.1, 1.2], abs=1e-3)


def test_odd_sides_are_padded(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "odd.mp4", 10.0) as sink:
        sink.write(level(90, 33, 17), 0)
    assert read_back(tmp_path / "odd.mp4")[0][2] == (34, 18)


def test_a_video_refuses_what_does_not_fit(tmp_path: Path) -> None:
    with VideoSink(tmp_path / "out.mp4", 10.0) as sink:
        sink.write(level(90), 3)
        with pytest.raises(ValueError, match="32x64x3"):
            sink.write(level(90, 32, 32), 4)
        with pytest.raises(ValueError, match="does not go up"):
            sink.write(level(90), 3)
    with pytest.raises(ValueError, match="fps"):
        VideoSink(tmp_path / "out.mp4", 0)
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(OSError, match="file"):
        VideoSink(tmp_path / "file" / "out.mp4", 10.0)


def test_a_video_without_frames_can_be_closed(tmp_path: Path) -> None:
    VideoSink(tmp_path / "none.mp4", 10.0).close()
    assert list(tmp_path.iterdir()) == [], "an empty video was left"


def test_images_are_named_by_frame(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(0, 256, (9, 13, 3), np.uint8)
    with ImageFolderSink(tmp_path / "shots") as sink:
        sink.write(noise, 41)
    back = np.array(Pillow.open(tmp_path / "shots" / "frame_000041.png"))
    assert (back == noise).all()


def test_coarse_left_rendered_right() -> None:
    both = side_by_side(level(10), level(200), gap=4)
    assert both.shape == (32, 132, 3)
    assert (both[:, :64] == 10).all()
    assert (both[:, 64:68] == 255).all()
    assert (both[:, 68:] == 200).all()
    with pytest.raises(ValueError, match="64x32"):
        side_by_side(level(1), level(1, 32, 32))


@pytest.mark.parametrize("total", [1, 5, 12, 13, 100, 1000])
def test_a_contact_sheet_spreads_its_pairs_over_the_run(total: int) -> None:
    sheet = ContactSheet(12)
    for index in range(total):
        sheet.add(Pair(index, 0, level(0), level(255)))
        assert len(sheet._kept) < 24
    ids = [pair.frame_id for pair in sheet.pairs]
    assert len(ids) == min(12, total)
    assert ids == sorted(set(ids))
    assert ids[0] == 0
    assert ids[-1] >= 0.8 * (total - 1)
    gaps = np.diff(ids)
    assert total < 13 or gaps.max() <= 2.1 * gaps.min()


def test_a_contact_sheet_shows_every_pair(tmp_path: Path) -> None:
    sheet = ContactSheet(6)
    for index in range(6):
        sheet.add(Pair(index, 0, level(40 + index), level(200 + index)))
    sheet.save(tmp_path / "deep" / "sheet.png")
    image = np.array(Pillow.open(tmp_path / "deep" / "sheet.png").convert("RGB"))
    for index in range(6):
        area = 64 * 32
        assert (image == 40 + index).all(axis=2).sum() >= area
        assert (image == 200 + index).all(axis=2).sum() >= area
    assert (image < 60).all(axis=2).sum() > 6 * 64 * 32, "and there is ink for the numbers"


def test_an_empty_contact_sheet_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no rendered frame came back"):
        ContactSheet().save(tmp_path / "sheet.png")
    with pytest.raises(ValueError, match="at least 1"):
        ContactSheet(0)


def test_pairs_put_outcomes_beside_their_frames() -> None:
    pairs = PairMatcher()
    for index in range(3):
        pairs.keep(frame(index))
    pair = pairs.match(rendered(1))
    assert pair is not None
    assert (pair.frame_id, int(pair.coarse[0, 0, 0])) == (1, 1)
    assert pairs.match(rendered(1)) is None
    assert len(pairs) == 2
    for index in range(3, 3 * CAPACITY):
        pairs.keep(frame(index))
    assert len(pairs) == CAPACITY


def test_a_window_shows_frames_or_says_what_is_missing() -> None:
    pytest.importorskip("panda3d", reason="the window needs the panda3d package")
    from engine_bridge.sinks.window import WindowSink

    if not os.environ.get("DISPLAY"):
        with pytest.raises(OSError, match="display"):
            WindowSink(64, 32)
        return
    sink = WindowSink(64, 32)
    with sink:
        opened = sink.is_open
        for index in range(3):
            sink.write(level(80 * index), index)
    sink.write(level(1), 4)
    assert (opened, sink.is_open) == (True, False)
