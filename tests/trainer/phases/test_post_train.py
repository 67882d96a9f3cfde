"""Phase post_train: its target, what gradients reach, long rollouts, what it refuses."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from c2r.weights.renderer import read_renderer
from tests.trainer.phases.conftest import SCALE, settings
from tests.trainer.small_run import losses
from trainer.command import train
from trainer.data.loader import Prefetcher
from trainer.distill.provenance import read_provenance
from trainer.distill.rollout_plan import RolloutPlan, frames_of, ping_pong_indices
from trainer.phases import phase_settings
from trainer.phases.crops import draw_crops, seen_of
from trainer.phases.post_train import Scored, along

SMALL = {"pixels": {"crop": 64, "looked_at": 1}, "judge": {"width": 8, "every": 2}}


def config_of(folder, pairs, student, **more):
    own = SMALL | more.pop("post_train", {})
    return phase_settings(settings(folder, pairs, "post_train", student, post_train=own, **more))


@pytest.fixture
def loop_of(pairs, student, tmp_path, open_loop):
    return lambda **more: open_loop(config_of(tmp_path / "run", pairs, student, **more))


@pytest.mark.parametrize(
    ("first", "scored", "window", "skipped"),
    [
        (0, range(3), slice(0, 9), 0),
        (0, range(2, 4), slice(0, 13), 5),
        (3, range(6, 8), slice(12, 29), 9),
    ],
)
def test_windows_of_the_scored_latents(first, scored, window, skipped):
    """Latent j ends at frame 4j; a stream that begins at latent `first` has one frame of it."""
    found = Scored(torch.empty(0), first, scored, torch.empty(0))
    assert (found.window, found.skipped) == (window, skipped)
    own = frames_of(scored)
    assert found.window.start + found.skipped == own.start
    assert found.window.stop == own.stop


def test_the_target_is_the_encoders_view_of_the_frames_that_are_shown(loop_of):
    loop = loop_of(post_train={"longest": 8})
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    frames = ping_pong_indices(9, frames_of(range(8)).stop)
    scored = Scored(torch.randn(2, 5, 16, 6, 8), 3, range(6, 8), frames)
    target = phase.target(batch, scored)[:, 3:]
    whole = batch.frames[:, frames].float() / 255
    small = F.avg_pool2d(whole.flatten(0, 1), SCALE).unflatten(0, whole.shape[:2])
    expected = phase.encoders.vae.encode(small)[:, 6:8]
    torch.testing.assert_close(target, expected, atol=1e-4, rtol=1e-4)
    found = phase.latent_losses(batch, scored)
    by_hand = (scored.x[:, 3:] - expected).abs().mean((1, 2, 3, 4))
    torch.testing.assert_close(found, by_hand, atol=1e-4, rtol=1e-4)


def test_frames_of_the_stream_and_of_the_clip_are_seen_at_the_same_place(loop_of):
    loop = loop_of(post_train={"pixels": {"crop": 0}})
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    with torch.no_grad():
        scored = phase.rolled(batch, RolloutPlan(3, range(3)))
        seen = phase.seen(batch, scored)
    crops = draw_crops(0, phase.config.model, phase.config.seed, batch.draws)
    assert seen.fine.equal(seen_of(crops, batch.frames.float() / 255))
    assert seen.coarse.equal(seen_of(crops, batch.control.float() / 255))
    with torch.no_grad():
        expected = phase.encoders.vae.decode(scored.x, batch.control.float() / 255)
    torch.testing.assert_close(seen.output, seen_of(crops, expected))


def test_motion_holds_forwards_only():
    motion = torch.randn(1, 3, 2, 4, 5)
    found = along(motion, ping_pong_indices(3, 7))  # 0 1 2 1 0 1 2
    known = found.isfinite().all((0, 2, 3, 4))
    assert known.tolist() == [True, True, True, False, False, True, True]
    assert found[:, 5].equal(motion[:, 1])


def test_gradients_come_through_the_frozen_decoder(loop_of):
    loop = loop_of(post_train={"judge": {"weight": 0.0}, "longest": 6})
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    scored = phase.rolled(batch, RolloutPlan(6, range(4, 6), 0.0))
    assert scored.first == 1
    samples = phase.losses_of.of_maker(phase.seen(batch, scored), batch.draws, 0, 10)
    samples.sum().backward()
    assert all(p.grad is not None for p in phase.student.dit.parameters())
    assert all(p.grad is None for p in phase.encoders.vae.parameters())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_student_and_discriminator_learn_in_turns(loop_of, precision):
    loop = loop_of(precision=precision, steps=8, post_train={"longest": 6, "from_start": 0.0})
    before = {
        part: {name: p.detach().clone() for name, p in module.named_parameters()}
        for part, module in loop.phase.parts.items()
    }
    ahead = Prefetcher(loop.dataset, loop.draws, start=0, depth=0, workers=1)
    turns = []
    for _ in range(4):
        turns.append(loop.phase.turn(loop.step))
        loop.train_step(ahead)
        loop.step += 1
    assert turns == ["judge", "student", "judge", "student"]
    for part, module in loop.phase.parts.items():
        still = [n for n, p in module.named_parameters() if torch.equal(p, before[part][n])]
        assert len(still) < 0.2 * len(before[part]), (part, still)


def test_the_loss_falls_and_a_student_is_written(pairs, student, tmp_path):
    own = {"judge": {"weight": 0.0}, "pixels": {"perceptual": 0.0, "crop": 0}}
    data = {"text_dropout": 0.0, "joint_dropout": 0.0}
    log = {"sample_every": 20, "sample_clips": 1}
    train(config_of(tmp_path / "run", pairs, student, steps=40, post_train=own, log=log, data=data))
    found = losses(tmp_path / "run")
    assert sum(found[-8:]) < 0.9 * sum(found[:8])
    preset, _ = read_renderer(tmp_path / "run" / "renderer")
    assert preset.output_scale == SCALE
    record = read_provenance(tmp_path / "run" / "renderer")
    assert record is not None
    assert record["phase"] == "post_train"


def test_a_stopped_run_goes_on_with_the_same_losses(pairs, student, tmp_path):
    train(config_of(tmp_path / "whole", pairs, student, steps=6))
    half = config_of(tmp_path / "half", pairs, student, steps=6, checkpoint={"every": 3})
    train(replace(half, steps=3))
    train(half)
    assert losses(tmp_path / "half") == losses(tmp_path / "whole")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"data": {"cg_ratio": 0.5}}, r"data\.cg_ratio to 1"),
        ({"data": {"manifest": None, "cache": "x"}}, r"give data\.manifest"),
        ({"post_train": {"clip": 4}}, r"post_train\.clip is 4 latents, a sample has 3"),
        ({"post_train": {"pixels": {"crop": 40}}}, "make it 32"),
        ({"post_train": {"from_start": 2.0}}, "must be 0 to 1"),
    ],
)
def test_settings_that_it_cannot_have(pairs, student, tmp_path, more, words):
    with pytest.raises(ValueError, match=words):
        train(config_of(tmp_path / "run", pairs, student, **more))
