"""Losses between frames against plain references; crops and discriminator alone."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from trainer.evaluate.geometry import Geometry
from trainer.evaluate.metrics.temporal import warp
from trainer.networks.discriminator import (
    PatchDiscriminator,
    judge_losses,
    maker_losses,
    smoothness,
)
from trainer.networks.lpips import AlexLpips
from trainer.phases.crops import draw_crop, latents_of, pixels_of, seen_of
from trainer.phases.frame_losses import FrameLosses, Seen
from trainer.phases.pixel_losses import grid_losses, motion_losses, perceptual_losses, warped
from trainer.phases.settings import JudgeConfig, PixelLossConfig


def random_motion(frames: int, height: int, width: int) -> torch.Tensor:
    motion = 4 * torch.randn(1, frames, 2, height, width)
    motion = (motion * 256).round() / 256  # as fine as the reference reads it
    motion[torch.rand(1, frames, 1, height, width).expand_as(motion) < 0.1] = torch.nan
    return motion


def geometry_of(motion: torch.Tensor) -> Geometry:
    """Everything at one depth: the reference then masks by motion and borders alone."""
    field = motion[0].permute(0, 2, 3, 1).numpy()
    frames, height, width = field.shape[:3]
    one = np.ones((frames, height, width), np.float32)
    return Geometry(one, field, np.zeros_like(one, np.int32))


def test_warping_is_that_of_the_evaluation():
    torch.manual_seed(0)
    frames, motion = torch.rand(3, 3, 12, 17), random_motion(3, 12, 17)
    found, known = warped(frames[1:2], motion[:, 2])
    expected, followed = warp(frames.permute(0, 2, 3, 1).numpy(), geometry_of(motion), 2)
    assert 0.3 < followed.mean() < 0.95
    assert (known[0, 0].bool().numpy() == followed).all()
    place = torch.from_numpy(followed)
    seen = found[0].permute(1, 2, 0)[place]
    torch.testing.assert_close(seen, torch.from_numpy(expected)[place], atol=1e-4, rtol=1e-4)


def test_consistency_compares_what_both_clips_change():
    torch.manual_seed(1)
    made, fine, motion = (
        torch.rand(1, 3, 3, 9, 11),
        torch.rand(1, 3, 3, 9, 11),
        random_motion(3, 9, 11),
    )
    geometry, total, count = geometry_of(motion), 0.0, 0
    clips = [clip[0].permute(0, 2, 3, 1).numpy() for clip in (made, fine)]
    for t in (1, 2):
        (first, followed), (second, _) = (warp(clip, geometry, t) for clip in clips)
        apart = np.abs((clips[0][t] - first) - (clips[1][t] - second))[followed]
        total, count = total + apart.sum(), count + apart.size
    found = motion_losses(made, fine, motion)
    assert found.tolist() == [pytest.approx(total / count, rel=1e-4)]
    assert motion_losses(fine, fine, motion).item() == 0
    assert motion_losses(made, fine, torch.full_like(motion, torch.nan)).item() == 0
    assert motion_losses(made[:, :1], fine[:, :1], motion[:, :1]).item() == 0


def test_two_scales_are_the_mean_of_two_distances(alexnet):
    torch.manual_seed(2)
    distance = AlexLpips(alexnet)
    made, fine = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    halves = [
        x.unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2)) for x in (2 * made - 1, 2 * fine - 1)
    ]
    expected = (distance(2 * made - 1, 2 * fine - 1) + distance(*halves)) / 2
    torch.testing.assert_close(perceptual_losses(distance, made, fine), expected)


def test_hinge_and_smoothness_are_those_of_their_formulas():
    torch.manual_seed(3)
    real, fake = torch.randn(2, 3, 4), torch.randn(2, 3, 4)
    for row in range(2):
        by_hand = sum((1 - v).clamp_min(0) for v in real[row].flatten()) / 12
        by_hand = by_hand + sum((1 + v).clamp_min(0) for v in fake[row].flatten()) / 12
        torch.testing.assert_close(judge_losses(real, fake)[row], by_hand)
    torch.testing.assert_close(maker_losses(fake), -fake.mean((1, 2)))
    slope = torch.randn(3, 8, 8)

    def linear(frames, condition):
        return (frames * slope).sum(1) + condition.sum(1)

    frames, condition, noise = (
        torch.rand(2, 3, 8, 8),
        torch.rand(2, 3, 8, 8),
        torch.randn(2, 3, 8, 8),
    )
    expected = (noise * slope).sum(1).square().mean((1, 2))
    torch.testing.assert_close(smoothness(linear, frames, condition, noise), expected)


def test_a_verdict_sees_68_pixels_and_the_condition():
    torch.manual_seed(4)
    judge = PatchDiscriminator(3, 8)
    frames = torch.rand(1, 3, 160, 160, requires_grad=True)
    condition = torch.rand(1, 3, 160, 160, requires_grad=True)
    judge(frames, condition)[0, 10, 10].backward()
    for given in (frames, condition):
        assert given.grad is not None
        rows = given.grad.abs().sum((0, 1, 3)).nonzero()
        assert int(rows.max() - rows.min()) + 1 == 68


def test_crops_of_latents_and_pixels_begin_at_one_place():
    latents = torch.arange(9 * 16).float().view(1, 1, 1, 9, 16).expand(2, 1, 1, 9, 16)
    pixels = latents.repeat_interleave(16, 3).repeat_interleave(16, 4)
    places = set()
    for seed in range(120):
        crops = [draw_crop(64, (9, 16), 2, random.Random(seed + row)) for row in range(2)]
        small = latents_of(crops, latents)
        assert small.shape[-2:] == (4, 4)
        large = small.repeat_interleave(16, 3).repeat_interleave(16, 4)
        assert pixels_of(crops, pixels).equal(large)
        assert seen_of(crops, large).shape[-2:] == (48, 48)
        places.add((crops[0].top % 8, crops[0].left % 8))
    assert len(places) > 20, "any pixel, not the strides of a network"
    whole = [draw_crop(0, (9, 16), 2, random.Random(seed)) for seed in range(200)]
    assert pixels_of(whole[:1], pixels[:1]).equal(pixels[:1])
    assert seen_of(whole[:1], pixels_of(whole[:1], pixels[:1])).shape[-2:] == (128, 240)
    assert {crop.top for crop in whole} == {crop.left for crop in whole} == set(range(17))
    assert 0.15 < sum(crop.top == 0 for crop in whole) / 200 < 0.4


def test_the_loss_looks_at_the_frames_own_edges():
    """Where a crop ends with the frame; elsewhere what is seen begins at any pixel."""
    crops = [draw_crop(64, (9, 16), 2, random.Random(seed)) for seed in range(400)]
    top = [crop for crop in crops if crop.row == 0]
    bottom = [crop for crop in crops if crop.row + crop.rows == 9]
    assert {crop.top for crop in top} == {0}
    assert {crop.top for crop in bottom} == {16}
    assert {crop.left for crop in crops if crop.column == 0} == {0}
    assert {crop.left for crop in crops if crop.column + crop.columns == 16} == {16}
    assert all(0.2 < len(some) / 400 < 0.45 for some in (top, bottom)), "3 of 10 places each"
    inner = [crop.top for crop in crops if 0 < crop.row < 9 - crop.rows]
    assert set(inner) == set(range(17))


def test_the_sum_is_that_of_the_weighted_terms(alexnet, monkeypatch):
    torch.manual_seed(5)
    made, fine, coarse = (torch.rand(2, 3, 3, 48, 48) for _ in range(3))
    motion = torch.zeros(2, 3, 2, 48, 48)
    seen = Seen(made, fine, coarse, motion)
    pixels = PixelLossConfig(l1=2.0, perceptual=0.7, motion=0.3, grid=0.4, looked_at=3)
    judge = JudgeConfig(weight=0.1, begin=0.5, width=8)
    terms = FrameLosses(pixels, judge, scale=1, seed=0, device=torch.device("cpu"))
    assert terms.judge is not None
    flat, fine_flat, coarse_flat = (clip.flatten(0, 1) for clip in (made, fine, coarse))
    with torch.no_grad():
        apart = perceptual_losses(AlexLpips(alexnet), flat, fine_flat).view(2, 3).mean(1)
        verdicts = terms.judge(flat, coarse_flat).view(2, 3, -1).mean((1, 2))
        early = 2.0 * (made - fine).abs().mean((1, 2, 3, 4)) + 0.7 * apart
        early = early + 0.3 * motion_losses(made, fine, motion)
        early = early + 0.4 * grid_losses(made, fine, 8)
        torch.testing.assert_close(terms.of_maker(seen, (7, 8), 4, 10), early)
        late = terms.of_maker(seen, (7, 8), 5, 10)
        torch.testing.assert_close(late, early - 0.1 * verdicts)
    assert [step for step in range(12) if terms.judges(step, 12)] == [6, 9]
    made.requires_grad_(True)
    terms.of_maker(seen, (7, 8), 9, 10).sum().backward()
    assert all(p.grad is None for p in terms.judge.parameters())


def test_a_pattern_of_every_tile_is_a_grid_and_chance_is_none():
    torch.manual_seed(6)
    fine, noise = torch.rand(2, 3, 3, 40, 50), 0.1 * torch.randn(2, 3, 3, 40, 50)
    tile = torch.rand(3, 16, 16)
    tile = tile - tile.mean((1, 2), keepdim=True)
    tiled = tile.repeat(1, 3, 4)[:, :40, :50]
    tiles = [
        (noise + tiled)[0, :, :, 16 * y : 16 * y + 16, 16 * x : 16 * x + 16].mean(0)
        for y in range(2)
        for x in range(3)
    ]
    by_hand = torch.stack(tiles).mean(0)
    by_hand = (by_hand - by_hand.mean((1, 2), keepdim=True)).abs().mean()
    found = grid_losses(fine + noise + tiled, fine, 16)
    torch.testing.assert_close(found[0], by_hand, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(
        grid_losses(fine + tiled + 0.2, fine, 16), tile.abs().mean().expand(2)
    )
    assert (grid_losses(fine + noise, fine, 16) < 0.1 * found).all()
    assert grid_losses(fine[..., :20, :20], 1 - fine[..., :20, :20], 16).tolist() == [0, 0]
