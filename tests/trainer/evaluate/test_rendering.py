"""Renderers that are smaller than the clips they are measured on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from c2r.models.presets import get_preset
from tests.debug_networks import guided_networks
from tests.trainer.small_run import make_clip
from trainer.evaluate.rendering import coarse_size, resized, scale_to


def test_a_clip_may_be_a_whole_number_of_times_larger(tmp_path: Path):
    preset, clip = get_preset("debug"), make_clip(tmp_path, "clip", "cg")
    for times in (1, 2, 3):
        larger = replace(clip, width=times * preset.width, height=times * preset.height)
        assert scale_to(preset, larger) == times
    for width, height in ((32, 24), (128, 48), (96, 72)):
        with pytest.raises(ValueError, match=f"clip clip is {width}x{height}, the renderer makes"):
            scale_to(preset, replace(clip, width=width, height=height))


def test_frames_are_averaged_down_and_keep_their_brightness_up():
    frames = np.random.default_rng(2).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8)
    small = resized(frames, 6, 4)
    means = frames.reshape(3, 4, 2, 6, 2, 3).mean(axis=(2, 4))
    assert np.abs(small - means).max() <= 0.5
    large = resized(small, 12, 8)
    assert large.shape == frames.shape
    assert large.mean() == pytest.approx(small.mean(), abs=2)
    assert resized(frames, 12, 8) is frames


def test_a_guided_renderer_takes_clips_of_its_size_and_of_the_dits(tmp_path: Path):
    preset, clip = guided_networks().preset, make_clip(tmp_path, "clip", "cg")
    assert preset.output_size == (2 * preset.width, 2 * preset.height)
    for times, given in ((1, 1), (2, 2), (4, 2)):
        size = times * preset.width, times * preset.height
        wanted = given * preset.width, given * preset.height
        assert coarse_size(preset, replace(clip, width=size[0], height=size[1])) == wanted
