"""A folder with good and bad videos: the clips, the reasons, the report."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from pathlib import Path

import cv2
import numpy as np
import pytest

from c2r.clips import VideoClip
from c2r.clips.fit import cover
from tests.trainer.curate.folder import KEPT, REJECTED, SEVENTH, UNICODE
from tests.trainer.curate.footage import HEIGHT, WIDTH, Frames, pan
from trainer.data.curate.quality import REASONS
from trainer.data.manifest import Clip, read_manifest


def rejections(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "rejected.jsonl").read_text("utf-8").splitlines()]


def clips_of(out: Path, name: str) -> list[Clip]:
    return [
        clip for clip in read_manifest(out / "manifest.jsonl") if clip.attributes["file"] == name
    ]


def frames_of(out: Path, clip: Clip) -> np.ndarray:
    return np.stack(list(VideoClip(out / clip.video, clip.width, clip.height, clip.fps)))


def nearest(shown: np.ndarray, source: Frames) -> list[int]:
    """For each frame of a clip the most similar of the source's, when cut and reduced."""
    left, top, wide, high = cover((WIDTH, HEIGHT), (shown.shape[2], shown.shape[1]))
    cut = [one[top : top + high, left : left + wide] for one in source]
    size = shown.shape[2], shown.shape[1]
    small = np.stack([cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in cut])
    apart = [np.abs(small.astype(int) - one.astype(int)).mean((1, 2, 3)) for one in shown]
    assert max(one.min() for one in apart) < 10, "no frame of the source looks like it"
    return [int(one.argmin()) for one in apart]


def test_the_expected_clips_are_kept(curated: Path):
    clips = read_manifest(curated / "manifest.jsonl", check="all")
    assert Counter(clip.attributes["file"] for clip in clips) == KEPT
    assert {(clip.frames, clip.width, clip.height, clip.fps) for clip in clips} == {
        (17, 160, 96, 16.0)
    }
    assert {clip.licence for clip in clips} == {"CC0"}
    assert {clip.caption for clip in clips} == {"a pattern"}
    assert {path.name for path in (curated / "clips").iterdir()} == {
        Path(clip.video).name for clip in clips
    }


def test_every_rejection_has_its_reason(curated: Path):
    found: dict[str, set[str]] = {}
    for row in rejections(curated):
        assert row["reason"] in REASONS
        assert set(row["also"]) <= set(REASONS)
        if row["reason"] != "remainder":
            found.setdefault(row["file"], set()).add(row["reason"])
    assert found == {name: {reason} for name, reason in REJECTED.items()}


def test_rejections_have_spans_and_values(curated: Path):
    rows = {row["reason"]: row for row in rejections(curated)}
    assert rows["dark"]["values"]["bright"] < 0.2
    assert (rows["dark"]["start_s"], rows["dark"]["end_s"]) == (0, 17 / 16)
    assert rows["small"]["values"]["upscale"] == pytest.approx(160 / 96, rel=1e-5)
    assert rows["unreadable"]["start_s"] is None
    assert rows["no video"]["detail"] == "audio only"
    damaged = [row for row in rejections(curated) if row["reason"] == "damaged"]
    assert all(1.5 < row["start_s"] < 2.6 and row["detail"] for row in damaged)


def test_cuts_are_found_where_they_are(curated: Path):
    rows = [row for row in rejections(curated) if row["file"] == "cuts.mp4"]
    assert len(rows) == 8
    assert np.diff([row["start_s"] for row in rows]) == pytest.approx(9 / 24, abs=1 / 16)


@pytest.mark.parametrize(
    ("name", "seed", "times"),
    [
        ("good.mp4", 1, np.arange(60) / 24),
        ("sub/ntsc.mp4", 2, np.arange(60) * 1001 / 24000),
        ("sub/ntsc30.mkv", 3, np.arange(70) * 1001 / 30000),
        ("vfr.mp4", 12, np.array(SEVENTH) / 1000),
        ("cutoff.mp4", 14, np.arange(90) / 24),
        ("holed.mp4", 14, np.arange(90) / 24),
    ],
)
def test_each_frame_is_the_nearest_in_time(curated: Path, name: str, seed: int, times: np.ndarray):
    source = pan(seed, len(times))
    for number, clip in enumerate(clips_of(curated, name)):
        wanted = (17 * number + np.arange(17)) / 16
        assert float(clip.attributes["start_s"]) == pytest.approx(wanted[0], abs=1e-4)
        chosen = times[nearest(frames_of(curated, clip), source)]
        best = np.abs(times[:, None] - wanted).min(0)
        # A millisecond is what Matroska's timestamps are rounded to.
        np.testing.assert_allclose(np.abs(chosen - wanted), best, atol=2e-3)


def test_rotated_footage_stands_upright(curated: Path):
    (clip,) = clips_of(curated, "rotated.mov")
    chosen = nearest(frames_of(curated, clip), pan(11, 40))
    assert chosen[0] == 0
    assert chosen[-1] == 24


def test_the_report_names_every_rejection(curated: Path):
    page = (curated / "report.html").read_text("utf-8")
    for name, reason in REJECTED.items():
        assert f"<td>{escape(name)}" in page
        assert f"<td>{reason}<td>{REASONS[reason]}" in page
    assert escape(UNICODE) in page
    assert UNICODE not in page, "a file's name must not become part of the page"
    assert page.count("data:image/jpeg;base64,") > 10
    assert "http" not in page, "the page needs nothing beside it"
    assert "filters.min_motion" in page
    assert f"<h1>{sum(KEPT.values())} clips from" in page
