"""The steps one by one: finding files, resampling, cropping, measuring, options."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.trainer.curate import footage
from tests.trainer.curate.folder import arguments
from tests.trainer.curate.footage import pan, texture, write
from trainer.data.curate.command import main
from trainer.data.curate.crop import box_of, fit
from trainer.data.curate.decode import DecodedFrame, VideoFile
from trainer.data.curate.quality import Measured, measure
from trainer.data.curate.scenes import SceneFrame, by_scene
from trainer.data.curate.segments import Segment, resample
from trainer.data.curate.settings import SceneSettings
from trainer.data.curate.sources import find_sources


def shots(times: list[float]) -> list[SceneFrame]:
    frame = av.VideoFrame(16, 16, "rgb24")
    return [SceneFrame(DecodedFrame(frame, time, 1.0), 0) for time in times]


def measured(frames: footage.Frames) -> Measured:
    return measure(Segment(0, "whole", frames, 0, 0.5), 16)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0.005, 0.4), min_size=1, max_size=40), st.sampled_from([8, 16, 24]))
def test_resampling_takes_the_nearest_in_time(steps: list[float], fps: int):
    times = np.concatenate([[0.0], np.cumsum(steps)])
    samples = list(resample(shots(times.tolist()), fps, 0.5))
    assert [sample.index for sample in samples] == list(range(len(samples)))
    assert len(samples) / fps >= times[-1]
    for sample in samples:
        apart = np.abs(times - sample.index / fps)
        assert abs(sample.source.seconds - sample.index / fps) <= apart.min() + 1e-9
    shown = [sample.source.seconds for sample in samples]
    repeated = [bool(index) and shown[index] == shown[index - 1] for index in range(len(shown))]
    assert [sample.repeated for sample in samples] == repeated


def test_a_hole_in_time_has_no_samples():
    times = [*np.arange(8) / 16, *(5 + np.arange(8) / 16)]
    indices = [sample.index for sample in resample(shots(times), 16, 0.5)]
    assert indices[0] == 0
    assert not set(range(13, 75)) & set(indices)
    assert indices[-1] >= 87


def test_a_hole_in_time_ends_the_scene(tmp_path: Path):
    times = [40 * index + (3000 if index > 9 else 0) for index in range(20)]
    video = VideoFile(write(tmp_path / "hole.mp4", pan(1, 20), times=times))
    scenes = [one.scene for one in by_scene(video, SceneSettings())]
    assert scenes == [0] * 10 + [1] * 10


def test_pixels_that_are_not_square_are_not_stretched(tmp_path: Path):
    # 4:3 pixels: 144x112 stored, 192x112 shown.
    path = tmp_path / "wide.mp4"
    disc = np.zeros((112, 144, 3), np.uint8)
    rows, columns = np.mgrid[:112, :144]
    disc[((columns - 72) * 4 / 3) ** 2 + (rows - 56) ** 2 < 40**2] = 255
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = 144, 112, "yuv420p"
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        for _ in range(4):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(disc, format="rgb24")))
        container.mux(stream.encode())
    decoded = next(iter(VideoFile(path)))
    shown = fit(decoded, box_of(decoded, (160, 96)), (160, 96))[..., 0] > 128
    wide, high = shown.any(0).sum(), shown.any(1).sum()
    assert abs(int(wide) - int(high)) <= 2
    assert high == pytest.approx(80 * 96 / 112, abs=2)


@pytest.mark.parametrize(
    ("have", "upscale"), [((192, 112), 160 / 187), ((320, 96), 1.0), ((80, 80), 2.0)]
)
def test_boxes_fill_the_frame(have: tuple[int, int], upscale: float):
    decoded = DecodedFrame(av.VideoFrame(*have, "rgb24"), 0.0, 1.0)
    box = box_of(decoded, (160, 96))
    assert box.width / box.height == pytest.approx(160 / 96, rel=0.02)
    assert abs(have[0] - box.width - 2 * box.left) <= 1
    assert abs(have[1] - box.height - 2 * box.top) <= 1
    assert box.upscale == pytest.approx(upscale, rel=0.02)


def test_measures_tell_what_they_are_for():
    good = measured(pan(1, 17, 416, 240))
    assert measured(footage.scaled(pan(1, 17, 416, 240), 0.1)).bright < 0.12 < good.bright
    assert measured(footage.blurred(pan(1, 17, 416, 240))).sharpness < 0.1 * good.sharpness
    assert measured(footage.barred(pan(1, 17, 416, 240))).bars == pytest.approx(0.1)
    assert measured(pan(1, 1, 416, 240) * 17).motion == 0 < good.motion
    assert good.bars == good.clipped == 0
    assert measured(footage.logo(pan(1, 17, 416, 240))).overlay > 0.004 > 10 * good.overlay


def test_an_overlay_is_not_seen_in_a_scene_that_stands_still():
    still = texture(3, 416, 240)
    rng = np.random.default_rng(0)
    moving = []
    for index in range(17):
        frame = still.copy()
        frame[100:160, 20 * index : 20 * index + 60] = rng.integers(0, 255, 3)
        moving.append(frame)
    assert measured(moving).static > 0.5
    assert measured(pan(3, 17, 416, 240)).static < 0.1


def test_files_are_found_once_under_portable_names(tmp_path: Path):
    (tmp_path / "a/deep").mkdir(parents=True)
    (tmp_path / "a/out/clips").mkdir(parents=True)
    for name in ("x.MP4", "deep/y.webm", "deep/z.txt", ".hidden.mp4", "out/clips/old.mp4"):
        (tmp_path / "a" / name).touch()
    found = find_sources([tmp_path / "a", tmp_path / "a/x.MP4"], tmp_path / "a/out")
    assert [source.name for source in found] == ["deep/y.webm", "x.MP4"]
    (tmp_path / "b").mkdir()
    (tmp_path / "b/x.MP4").touch()
    with pytest.raises(ValueError, match=r"would both be called x\.MP4"):
        find_sources([tmp_path / "a", tmp_path / "b"], tmp_path / "out")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--frames", "16"], "4n \\+ 1"),
        (["--size", "160"], "WIDTHxHEIGHT"),
        (["--size", "161x96"], "multiples of 16"),
        (["--filters.min_speed=3"], "filters.min_speed"),
        (["--filters.min_motion=fast"], "filters.min_motion"),
        (["--jobs", "0"], "at least one process"),
        (["--licence", " "], "--licence is empty"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, more: list[str], message: str):
    write(tmp_path / "a.mp4", pan(1, 2))
    with pytest.raises(ValueError, match=message):
        main(arguments(tmp_path, tmp_path / "out", *more))
    assert not (tmp_path / "out").exists()


def test_places_without_videos_are_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="no videos in"):
        main(arguments(tmp_path, tmp_path / "out"))
    with pytest.raises(ValueError, match="there is no"):
        main(arguments(tmp_path / "none", tmp_path / "out"))
