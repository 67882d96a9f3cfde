"""Frame counts and sizes: what does not divide is refused with what would."""

from __future__ import annotations

import pytest

from c2r.models.configs import latent_count
from c2r.models.presets import get_preset


@pytest.mark.parametrize(("frames", "latents"), [(1, 1), (5, 2), (49, 13), (81, 21)])
def test_whole_clips(frames, latents):
    assert latent_count(frames) == latents


@pytest.mark.parametrize("frames", [0, -3, 2, 80, 82])
def test_frames_that_do_not_divide(frames):
    with pytest.raises(ValueError, match="4n \\+ 1 frames"):
        latent_count(frames)


@pytest.mark.parametrize("size", [(257, 144), (256, 145), (8, 8), (0, 144)])
def test_sizes_that_do_not_divide(size):
    with pytest.raises(ValueError, match="is not a multiple of 16 pixels; the nearest that is"):
        get_preset("tiny").check_size(*size)
