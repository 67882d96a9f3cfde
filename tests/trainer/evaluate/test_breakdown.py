"""Means by hour, weather and coarse level, against sums by hand on random values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from tests.trainer.small_run import make_clip
from trainer.evaluate.breakdown import breakdown
from trainer.evaluate.results import Evaluation, mean_of


def test_every_part_is_the_mean_over_its_own_clips(tmp_path: Path):
    random = Random(3)
    plain = make_clip(tmp_path, "clip", "cg")
    clips = [
        replace(plain, id=str(n), attributes={"hour": hour, "weather": "rain"})
        for n, hour in enumerate(["noon", "night", "noon", "dawn", "night"])
    ]
    values = {
        system: {
            key: {clip.id: random.uniform(-1, 1) for clip in clips}
            for key in ("psnr", "lpips", "brightness", "kid")
        }
        for system in ("coarse", "fine", "student")
    }
    rows = {
        system: {key: mean_of(by_clip, 9) for key, by_clip in own.items()}
        for system, own in values.items()
    }
    found = breakdown(rows, clips)
    assert list(found) == ["hour", "weather"]
    assert list(found["hour"]) == ["noon", "night", "dawn"]
    assert list(found["hour"]["noon"]) == ["coarse", "student"]
    night, coarse = found["hour"]["night"]["student"], values["coarse"]["psnr"]
    psnr = [values["student"]["psnr"][clip] for clip in ("1", "4")]
    assert night["psnr"] == pytest.approx(sum(psnr) / 2)
    assert night["psnr_gain"] == pytest.approx((sum(psnr) - coarse["1"] - coarse["4"]) / 2)
    assert night["worst_brightness"] == max(values["student"]["brightness"][c] for c in "14")
    assert "kid" not in night
    whole = found["weather"]["rain"]["student"]
    assert whole["lpips"] == pytest.approx(rows["student"]["lpips"].value)

    text = Evaluation(rows, {}, {}, {}, breakdown=found).markdown()
    assert "By hour:" in text
    assert f"| night, student | {night['psnr']:.2f} |" in text
