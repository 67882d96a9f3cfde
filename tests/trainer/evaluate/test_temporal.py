"""PSNR, SSIM, flicker, warp and revisit error against plain formulas and known answers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from tests.trainer.evaluate import scenes
from trainer.evaluate.geometry import Camera, Geometry
from trainer.evaluate.metrics.reference import psnr, ssim
from trainer.evaluate.metrics.temporal import (
    border_ratio,
    flicker,
    frame_steps,
    revisit_error,
    revisits,
    warp,
    warp_error,
)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def plain_ssim(a: np.ndarray, b: np.ndarray) -> float:
    """Wang et al. 2004 in float64, one channel, mirrored at the borders."""
    place = np.arange(11) - 5
    line = np.exp(-(place**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2

    def blur(x: np.ndarray) -> np.ndarray:
        views = np.lib.stride_tricks.sliding_window_view(np.pad(x, 5, "reflect"), (11, 11))
        return np.einsum("yxij,ij->yx", views, window)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    both = blur(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    top = (2 * mean_a * mean_b + c1) * (2 * both + c2)
    return float((top / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))).mean())


def test_psnr_is_the_formula_over_the_whole_clip():
    a, b = noise(1, 3, 16, 20, 3), noise(2, 3, 16, 20, 3)
    mse = np.mean((a / 255.0 - b / 255.0) ** 2)
    assert psnr(a, b) == pytest.approx(10 * np.log10(1 / mse), abs=1e-4)
    assert psnr(a, a) is None


def test_ssim_is_the_formula_of_wang():
    rng = np.random.default_rng(3)
    a = noise(3, 2, 24, 30, 3)
    b = (a + rng.normal(0, 30, a.shape)).clip(0, 255).astype(np.uint8)
    wanted = np.mean(
        [plain_ssim(x[..., c] / 255, y[..., c] / 255) for x, y in zip(a, b, strict=True)
         for c in range(3)]
    )  # fmt: skip
    assert ssim(a, b) == pytest.approx(wanted, abs=1e-4)
    assert ssim(a, a) == pytest.approx(1)


def test_flicker_is_zero_for_a_still_and_the_step_for_a_blink():
    still = np.repeat(noise(4, 1, 8, 8, 3), 5, axis=0)
    assert flicker(still) == 0
    blink = np.zeros((4, 8, 8, 3), np.uint8)
    blink[1::2] = 200
    assert flicker(blink) == 200
    assert flicker(blink[:1]) is None


def sliding(seed: int) -> tuple[np.ndarray, Geometry]:
    wall = scenes.make_wall(seed)
    found = scenes.geometry_of(wall)
    geometry = Geometry(
        found.depth.astype(np.float32),
        found.motion.astype(np.float32),
        found.part.astype(np.int32),
    )
    return scenes.fine_frames(wall, "noon", "clear"), geometry


def test_a_slide_with_its_own_motion_has_no_warp_error():
    frames, geometry = sliding(5)
    assert warp_error(frames, geometry) == 0
    _, followed = warp(frames, geometry, 1)
    # All but the two columns that come into the picture; the posts slide with the wall.
    assert followed[:, : -scenes.STEP].all()
    assert not followed[:, -scenes.STEP :].any()


def test_the_motion_points_back_and_not_forth():
    frames, geometry = sliding(6)
    wrong = replace(geometry, motion=-geometry.motion)
    error = warp_error(frames, wrong)
    assert error is not None
    assert error > 10


def test_warp_error_is_a_change_of_look_in_levels():
    frames, geometry = sliding(7)
    brighter = np.minimum(frames, 200)
    brighter[4:] += 30
    # Only the step from frame 3 to 4 differs: 30 levels in one of eight steps.
    assert warp_error(brighter, geometry) == pytest.approx(30 / 8)


def test_half_a_pixel_is_read_between_the_pixels():
    ramp = np.tile(np.arange(0, 160, 4, dtype=np.uint8), (12, 1))[None, :, :, None].repeat(3, 3)
    frames = np.concatenate([ramp, ramp + 2])
    motion = np.zeros((2, 12, 40, 2), np.float32)
    motion[..., 0] = 0.5
    flat = np.full((2, 12, 40), 10, np.float32)
    geometry = Geometry(flat, motion, np.zeros(flat.shape, np.int32))
    assert warp_error(frames, geometry) == pytest.approx(0, abs=1e-5)


def test_what_was_hidden_or_is_unknown_does_not_count():
    frames, geometry = sliding(8)
    changed, depth, part = frames.copy(), geometry.depth.copy(), geometry.part.copy()
    changed[3, 10:20, 10:20] = 255 - changed[3, 10:20, 10:20]
    depth[3, 10:20, 10:15] = 2  # somebody near
    part[3, 10:20, 15:20] = 1  # somebody who walks
    hidden = Geometry(depth, geometry.motion, part)
    assert warp_error(changed, geometry) != 0
    assert warp_error(changed, hidden) == 0
    lost = replace(geometry, motion=np.full_like(geometry.motion, np.nan))
    assert warp_error(frames, lost) is None


def ping_pong_indices(count: int) -> Camera:
    places = np.array([min(t, count - 1 - t) for t in range(count)], float)
    eye = np.stack([places, np.zeros(count), np.full(count, 1.7)], axis=1)
    return Camera(eye, np.repeat(np.eye(3)[None], count, axis=0))


def test_revisits_are_equal_poses_with_a_journey_between():
    assert revisits(ping_pong_indices(7)) == [(0, 6), (1, 5), (2, 4)]
    standing = Camera(np.zeros((7, 3)), np.repeat(np.eye(3)[None], 7, axis=0))
    assert revisits(standing) == []


def test_a_place_that_looks_the_same_has_no_revisit_error():
    camera = ping_pong_indices(5)
    depth = np.full((5, 6, 8), 10, np.float32)
    depth[:, 0] = np.inf
    part = np.zeros((5, 6, 8), np.int32)
    geometry = Geometry(depth, np.zeros((5, 6, 8, 2), np.float32), part)
    frames = noise(9, 5, 6, 8, 3)
    frames[4], frames[3] = frames[0], frames[1]
    assert revisit_error(frames, geometry, camera) == 0
    frames[4] = np.where(frames[0] < 128, frames[0] + 12, frames[0] - 12)
    assert revisit_error(frames, geometry, camera) == pytest.approx(6)  # one pair of two
    part[4, :, :] = 2
    assert revisit_error(frames, geometry, camera) == 0
    straight = Camera(np.arange(15.0).reshape(5, 3), camera.axes)
    assert revisit_error(frames, geometry, straight) is None


def test_borders_of_chunks_are_compared_with_their_inside():
    """Chunks of two latents: five frames, then eight and eight."""
    steps = [2.0] * 20
    assert border_ratio(steps, 2) == 1
    steps[4] = steps[12] = 5.0  # from frame 4 to 5 and from 12 to 13
    assert border_ratio(steps, 2) == 2.5
    steps[4], steps[5] = 2.0, 5.0
    assert border_ratio(steps, 2) == pytest.approx(3.5 / (2 + 3 / 18))
    assert border_ratio([2.0] * 4, 2) is None
    assert border_ratio([0.0] * 20, 2) is None
    frames = np.random.default_rng(1).integers(0, 256, (4, 6, 8, 3), dtype=np.uint8)
    apart = [np.abs(a.astype(float) - b).mean() for a, b in itertools.pairwise(frames)]
    assert frame_steps(frames) == pytest.approx(apart)
