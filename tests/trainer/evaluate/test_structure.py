"""Edges, Gram matrices, drift and the marks of computer graphics: known answers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.trainer.evaluate import scenes
from trainer.evaluate.geometry import Geometry
from trainer.evaluate.metrics.artefacts import (
    artefacts,
    edge_leakage,
    lighting_uniformity,
    texture_flatness,
)
from trainer.evaluate.metrics.drift import change, drift, drift_of, imaging_statistics
from trainer.evaluate.metrics.structure import depth_edges, edge_f1, edge_strength, gram_agreement


def boxes(count: int = 3) -> Geometry:
    depth = np.full((count, 40, 60), np.inf, np.float32)
    depth[:, 10:30, 12:25] = 8
    depth[:, 15:35, 35:50] = 20
    return Geometry(
        depth, np.zeros((count, 40, 60, 2), np.float32), np.zeros(depth.shape, np.int32)
    )


def shaded(depth: np.ndarray) -> np.ndarray:
    plane = np.select([np.isinf(depth), depth < 10], [200, 40], 120).astype(np.uint8)
    return plane[..., None].repeat(3, axis=-1)


def test_the_gradient_is_sobels():
    rng = np.random.default_rng(0)
    plane = rng.random((7, 9)).astype(np.float32)
    padded = np.pad(plane.astype(np.float64), 1, mode="edge")
    kernel = np.array([[-1, 0, 1], [-2, 0, 2], [-1, 0, 1]], float)
    wanted = np.zeros((7, 9))
    for y in range(7):
        for x in range(9):
            part = padded[y : y + 3, x : x + 3]
            wanted[y, x] = np.hypot((part * kernel).sum(), (part * kernel.T).sum())
    np.testing.assert_allclose(edge_strength(plane), wanted, rtol=1e-5)


def test_depth_edges_lie_on_both_sides_of_a_step():
    depth = np.full((6, 8), 10, np.float32)
    depth[:, 4:] = 12
    none = np.zeros((6, 8), np.int32)
    assert np.flatnonzero(depth_edges(depth, none).all(axis=0)).tolist() == [3, 4]
    depth[:, 4:] = 10.5
    assert not depth_edges(depth, none).any()
    none[:, 2:] = 1
    assert np.flatnonzero(depth_edges(depth, none).all(axis=0)).tolist() == [1, 2]


def test_a_picture_of_the_depth_has_a_perfect_f1():
    geometry = boxes()
    assert edge_f1(shaded(geometry.depth), geometry) == pytest.approx(1)


def test_f1_falls_with_a_shift_and_is_zero_for_a_blank():
    geometry = boxes()
    shifted = np.roll(shaded(geometry.depth), 6, axis=2)
    near = np.roll(shaded(geometry.depth), 1, axis=2)
    scores = [edge_f1(frames, geometry) for frames in (near, shifted)]
    assert scores[0] is not None
    assert scores[1] is not None
    assert scores[0] > 0.9 > 0.6 > scores[1]
    assert edge_f1(np.full((3, 40, 60, 3), 128, np.uint8), geometry) == 0
    flat = Geometry(np.full_like(geometry.depth, 9), geometry.motion, geometry.part)
    assert edge_f1(shifted, flat) is None


def test_gram_agreement_is_linear_cka():
    generator = torch.Generator().manual_seed(1)
    a = torch.randn(2, 12, 5, generator=generator)
    b = torch.randn(2, 12, 7, generator=generator)
    wanted = []
    for x, y in zip(a.double().numpy(), b.double().numpy(), strict=True):
        x, y = x - x.mean(0), y - y.mean(0)
        top = np.linalg.norm(y.T @ x) ** 2  # Kornblith et al. 2019, the feature form
        wanted.append(top / np.linalg.norm(x.T @ x) / np.linalg.norm(y.T @ y))
    assert gram_agreement(a, b) == pytest.approx(np.mean(wanted), rel=1e-6)


def test_gram_agreement_sees_relations_and_not_appearance():
    generator = torch.Generator().manual_seed(2)
    a = torch.randn(3, 20, 6, generator=generator)
    turn, _ = torch.linalg.qr(torch.randn(6, 6, generator=generator))
    assert gram_agreement(a, 3 * a @ turn + 1) == pytest.approx(1, abs=1e-5)
    assert gram_agreement(a, a[:, torch.randperm(20, generator=generator)]) < 0.6
    assert gram_agreement(a, torch.ones(3, 20, 6)) == 0


def test_imaging_statistics_of_plain_pictures():
    red = np.zeros((10, 10, 3), np.uint8)
    red[..., 0] = 255
    assert imaging_statistics(red) == pytest.approx((0.2126, 0, 1, 0), abs=1e-6)
    halves = np.zeros((10, 10, 3), np.uint8)
    halves[:, 5:] = 255
    brightness, contrast, saturation, sharpness = imaging_statistics(halves)
    assert (brightness, contrast, saturation) == pytest.approx((0.5, 0.5, 0))
    assert sharpness == pytest.approx(0.2 * 4)  # two columns of ten, Sobel's weights sum to 4


def test_drift_compares_the_last_ten_seconds_with_the_first():
    fps, seconds = 4.0, 60
    rows = [[1.0, 2.0, 0.5, 0.1]] * int(fps * seconds)
    assert drift(rows, fps).largest == 0
    faded = [[1 - 0.3 * (t >= 50 * fps), 2.0, 0.5, 0.1] for t in range(len(rows))]
    found = drift(faded, fps)
    assert found.end_frames == 40
    assert found.change["brightness"] == pytest.approx(0.3)
    assert found.largest == found.change["brightness"]
    assert len(found.segments["contrast"]) == 30
    assert found.segments["brightness"][-1] == pytest.approx(0.7)


def test_a_dark_statistic_changes_by_no_more_than_it_shows():
    assert change(0.5, 0.4) == pytest.approx(0.2)
    assert change(0.0001, 0.002) == pytest.approx(0.19)
    assert change(0, 0) == 0


def test_drift_of_short_clips():
    still = np.repeat(scenes.coarse_frames(scenes.make_wall(1))[:1], 7, axis=0)
    assert drift_of(still, 16) == 0
    assert drift_of(still[:1], 16) is None
    with pytest.raises(ValueError, match="ends"):
        drift([[1, 1, 1, 1]], 16)


def test_flat_shading_is_flat_and_noise_is_not():
    rng = np.random.default_rng(4)
    ramp = np.arange(64, dtype=np.uint8)[None, None, :, None].repeat(48, 1).repeat(3, 3)
    noise = rng.integers(0, 256, (1, 48, 64, 3), dtype=np.uint8)
    assert texture_flatness(ramp) == 1
    assert texture_flatness(noise) == 0
    half = np.where(np.arange(64)[:, None] < 32, ramp, noise)
    assert texture_flatness(half) == pytest.approx(0.5)
    with pytest.raises(ValueError, match="smaller"):
        texture_flatness(noise[:, :4])


def test_uniform_light_and_a_spot():
    even = np.full((1, 48, 64, 3), 90, np.uint8)
    spot = np.zeros((1, 48, 64, 3), np.uint8)
    spot[:, :8, :8] = 255
    assert lighting_uniformity(even) == pytest.approx(1)
    assert lighting_uniformity(spot) < 0.2


def test_leakage_is_high_only_for_the_coarse_clips_own_edges():
    wall = scenes.make_wall(2)
    coarse = scenes.coarse_frames(wall)
    rng = np.random.default_rng(5)
    noise = rng.integers(0, 256, coarse.shape, dtype=np.uint8)
    assert edge_leakage(coarse, coarse) > 0.95
    assert edge_leakage(noise, coarse) == pytest.approx(0.5, abs=0.03)
    fine = edge_leakage(scenes.fine_frames(wall, "noon", "clear"), coarse)
    assert 0.5 < fine < 0.95
    assert artefacts(noise).edge_leakage is None
    with pytest.raises(ValueError, match="shape"):
        edge_leakage(coarse[:2], coarse)
