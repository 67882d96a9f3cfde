"""`c2r eval --drift / --switch`: what a long stream keeps, and how soon a prompt is answered."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from tests.trainer.evaluate import scenes
from trainer.evaluate.command import main
from trainer.evaluate.long_videos import Switch, answer, measure_long, parse_switch
from trainer.evaluate.strips import BAND, GAP


def long_report(out) -> dict:
    return json.loads((out / "report.json").read_text())["long"]


def long_frames(fade: bool) -> np.ndarray:
    wall = scenes.fine_frames(scenes.make_wall(4), "noon", "clear")
    shown = np.concatenate([wall, wall[::-1]] * 4)  # 72 frames
    shown[40:] = shown[40:] // (4 if fade else 1)
    return shown


def test_drift_of_long_videos(renderer, tmp_path):
    steady, fading = tmp_path / "steady.mp4", tmp_path / "fading.mp4"
    scenes.write_video(steady, long_frames(False))
    scenes.write_video(fading, long_frames(True))
    fresh = tmp_path / "fresh.mp4"
    scenes.write_video(fresh, long_frames(False)[40:])
    words = ["--drift", steady, fading, "--drift-coarse", steady]
    words += ["--features", renderer / "dino", "--out", tmp_path / "out", "--drift-fresh", fresh]
    assert main([str(word) for word in words]) == 0
    found = long_report(tmp_path / "out")
    assert max(found["steady"]["change_from_fresh"].values()) < 0.05
    assert found["fading"]["change_from_fresh"]["brightness"] == pytest.approx(0.75, abs=0.05)
    assert found["steady"]["drift"]["largest"] < 0.05
    assert found["fading"]["drift"]["change"]["brightness"] == pytest.approx(0.75, abs=0.05)
    assert len(found["fading"]["drift"]["segments"]["contrast"]) == 30
    assert found["steady"]["structure_by_minute"] == pytest.approx([1], abs=1e-6)
    assert found["steady"]["structure_change"] == pytest.approx(0, abs=1e-6)
    page = (tmp_path / "out" / "page.html").read_text()
    assert "72 frames at 16 fps" in page
    assert page.count("data:image/jpeg") == 2
    strip = np.array(Image.open(tmp_path / "out" / "long-1.png")).astype(int)
    height, width = long_frames(True).shape[1:3]
    above, below = (strip[BAND + row * (height + GAP) :][:height] for row in (0, 1))
    last = 4 * (width + GAP) + GAP
    assert strip.shape[0] == BAND + 2 * (height + GAP) + GAP, "coarse above, rendered below"
    assert below[:, last : last + width].mean() < 0.4 * above[:, last : last + width].mean()
    assert abs(below[:, GAP : GAP + width] - above[:, GAP : GAP + width]).mean() < 3


def test_a_change_of_prompt_is_answered_after_a_while(data, renderer, tmp_path):
    path = tmp_path / "long.mp4"
    scenes.write_video(path, long_frames(True))
    words = ["--drift", path, "--data", data, "--clips", 1, "--features", renderer / "dino"]
    words += ["--switch", "2:hour=night", "--out", tmp_path / "out"]
    main([str(word) for word in words])
    found = long_report(tmp_path / "out")["long"]["switches"]["2:hour=night"]
    assert found["delay_s"] == pytest.approx(0.5, abs=0.13)  # dark from frame 40 on, at 16 fps
    assert found["share"] == pytest.approx(1, abs=0.3)


def test_a_fresh_end_must_be_one(tmp_path):
    video, short = tmp_path / "video.mp4", tmp_path / "short.mp4"
    scenes.write_video(video, long_frames(False))
    scenes.write_video(short, long_frames(False)[:5])
    with pytest.raises(ValueError, match="has 5 frames; the end compared is 12"):
        measure_long(video).change_from(short)
    with pytest.raises(ValueError, match="--drift-fresh is compared with"):
        main(["--data", "none", "--drift-fresh", str(short)])


def test_switches_that_cannot_be_judged(tmp_path):
    assert parse_switch("20:hour=night") == Switch(20, "hour", "night")
    for wrong in ("20", "x:hour=night", "20:size=big", "20:hour=", "-1:hour=night"):
        with pytest.raises(ValueError, match="no change of prompt"):
            parse_switch(wrong)
    path = tmp_path / "long.mp4"
    scenes.write_video(path, long_frames(False))
    with pytest.raises(ValueError, match="classifier"):
        answer(measure_long(path), Switch(1, "hour", "night"))


def test_long_videos_that_do_not_belong_together(networks, tmp_path):
    long, short, small = (tmp_path / f"{name}.mp4" for name in ("long", "short", "small"))
    scenes.write_video(long, long_frames(False))
    scenes.write_video(short, long_frames(False)[:30])
    scenes.write_video(small, long_frames(False)[:, :32])
    for video, coarse, message in (
        (long, short, "not as many frames"),
        (short, long, "not as many frames|longer"),
        (long, small, "compared at one size"),
        (tmp_path / "none.mp4", None, "none.mp4"),
    ):
        with pytest.raises((ValueError, OSError), match=message):
            measure_long(video, coarse, dino=networks.dino)
