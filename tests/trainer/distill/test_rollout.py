"""Rollouts in training: the server's frames, gradients at the exit alone, long ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from c2r.models.dit import DiT
from c2r.weights.renderer import load_networks, read_renderer
from runtime.pipeline.pipeline import Pipeline
from tests.trainer.distill.conftest import STREAM
from tests.trainer.small_run import HEIGHT, WIDTH, make_renderer
from trainer.distill.rollout_plan import RolloutPlan, draw_rollout_plan, frames_of
from trainer.distill.student import CausalDenoiser

ONE_STEP = STREAM | {"timesteps": [1000.0], "first_timesteps": None}
FRAMEWISE = STREAM | {"chunk": 1, "timesteps": [1000.0, 750.0, 500.0, 250.0]}


ADAPTER: dict[str, Any] = {"kind": "adapter"}
ONCE = {"kind": "controlnet", "inject": "first:2", "every_pass": False}


@pytest.mark.parametrize(
    ("stream", "control"),
    [
        (STREAM, ADAPTER),
        (ONE_STEP, ADAPTER),
        (FRAMEWISE, ADAPTER),
        (STREAM, ONCE),
        (STREAM, ONCE | {"every_pass": True}),
    ],
    ids=["chunks", "one", "frames", "controlnet-once", "controlnet"],
)
def test_the_rollout_gives_the_servers_frames_bit_for_bit(loop_of, tmp_path, stream, control):
    """Six latents: past the window of four, so the sink and the shifted keys are in it too."""
    make_renderer(tmp_path / "renderer", kind=control)
    model = {"stream": stream, "control": control}
    phase = loop_of("dmd", model=model, start={"folder": str(tmp_path / "renderer")}).phase
    preset, paths = read_renderer(tmp_path / "renderer")
    networks = load_networks(replace(preset, stream=phase.config.model.stream), paths)
    pipeline, latents = Pipeline(networks), 6
    frames = torch.randint(0, 255, (21, HEIGHT, WIDTH, 3), dtype=torch.uint8).numpy()
    embeddings = pipeline.prompt("a street")
    state, text = pipeline.open(77), pipeline.text(embeddings)
    served, begin = [], 0
    while begin < 21:
        count = pipeline.frames_wanted(state)
        rendered = pipeline.render(state, frames[begin : begin + count], text)
        pipeline.finalize(state, rendered)
        served.append(rendered)
        begin += count
    assert begin == 21
    plan = RolloutPlan(latents, range(latents), place=0.9999)
    seen = [
        phase.feature_cache.encode(phase.own_dino, pipeline.upload(frames)[:, frames_of(block)])
        for block in plan.blocks(phase.config.model.stream.chunk)
    ]
    given = {"features": torch.cat(seen, dim=1), "strength": torch.ones(1)}
    rolled = phase.student.roll(phase.config.model, plan, [77], embeddings, **given)
    assert rolled.requires_grad
    assert torch.equal(rolled, torch.cat([one.chunk.clean for one in served], dim=1))
    vae, begin = None, 0
    for one in served:
        part = rolled.detach()[:, begin : begin + one.chunk.clean.shape[1]]
        decoded, vae = phase.encoders.vae.decode_chunk(part, vae)
        assert (pipeline.download(decoded) == one.frames).all()
        begin += part.shape[1]


def passes_of(monkeypatch) -> list[tuple[float, bool, bool]]:
    """Timestep of every pass, whether gradients were on, and whether its answer has one."""
    seen = []
    plain = DiT.forward

    def spy(self, x, timestep, *rest, **more):
        out = plain(self, x, timestep, *rest, **more)
        seen.append((round(float(timestep), 1), torch.is_grad_enabled(), out.requires_grad))
        return out

    monkeypatch.setattr(DiT, "forward", spy)
    return seen


def roll(phase, plan, count=2):
    torch.manual_seed(3)
    frames = frames_of(range(plan.latents)).stop
    features = torch.randn(count, frames, 12, 32)
    text = torch.randn(count, 64, 32)
    return phase.student.roll(
        phase.config.model,
        plan,
        list(range(count)),
        text,
        features=features,
        strength=torch.ones(count),
    )


@pytest.mark.parametrize("place", [0.1, 0.4, 0.6, 0.9])
def test_gradients_go_through_the_exit_step_alone(loop_of, monkeypatch, place):
    phase = loop_of("dmd").phase
    seen = passes_of(monkeypatch)
    clean = roll(phase, RolloutPlan(4, range(4), place))
    first, later = [1000.0, 857.1, 666.7, 400.0], [1000.0, 666.7]
    exits = int(place * 4), int(place * 2)
    expected = [(level, step == exits[0]) for step, level in enumerate(first[: exits[0] + 1])]
    expected += [(0.0, False)]
    expected += [(level, step == exits[1]) for step, level in enumerate(later[: exits[1] + 1])]
    assert [(level, grad) for level, grad, _ in seen] == expected
    assert all(grad == has for _, grad, has in seen)
    clean.square().mean().backward()
    names = {n for n, p in phase.student.named_parameters() if p.grad is None or not p.grad.any()}
    assert not names, "every weight of student and control learns"


def test_the_gradient_of_a_chunk_is_that_of_its_exit_pass(loop_of):
    """Compared with the pass alone: noisy input, cache and everything before it held fixed."""
    phase = loop_of("dmd").phase
    plan = RolloutPlan(2, range(2), place=0.6)
    held: dict[str, Any] = {}
    plain = DiT.forward

    def spy(self, x, timestep, text, **more):
        held.update(x=x, timestep=timestep)
        return plain(self, x, timestep, text, **more)

    student = phase.student
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DiT, "forward", spy)
        roll(phase, plan).square().mean().backward()
    together = {n: p.grad.clone() for n, p in student.named_parameters()}
    student.zero_grad()
    torch.manual_seed(3)
    features, text = torch.randn(2, 5, 12, 32), torch.randn(2, 64, 32)
    level = float(held["timestep"]) / 1000
    assert level == pytest.approx(0.6667, abs=1e-3)
    assert not held["x"].requires_grad
    velocity = student(held["x"], held["timestep"], text, features=features, strength=torch.ones(2))
    (held["x"] - level * velocity).square().mean().backward()
    for name, parameter in student.named_parameters():
        scale = together[name].abs().max()
        assert (parameter.grad - together[name]).abs().max() <= 1e-4 * scale + 1e-9, name


def test_chunks_that_are_not_scored_run_as_served(loop_of, monkeypatch):
    phase = loop_of("dmd").phase
    seen = passes_of(monkeypatch)
    clean = roll(phase, RolloutPlan(6, range(4, 6), place=0.1))
    steps = [level for level, _, _ in seen]
    assert steps == [1000.0, 857.1, 666.7, 400.0, 0.0, 1000.0, 666.7, 0.0, 1000.0]
    assert [grad for _, grad, _ in seen] == [False] * 8 + [True]
    clean[:, :4].sum().backward()
    grads = [p.grad for p in phase.student.parameters() if p.grad is not None]
    assert not any(grad.any() for grad in grads), "the past is fixed"


def test_recomputed_activations_give_the_same_gradients(loop_of):
    phase = loop_of("dmd").phase
    found = []
    for recompute in (False, True):
        phase.student.dit.checkpoint_blocks = recompute
        phase.student.zero_grad()
        roll(phase, RolloutPlan(6, range(6), place=0.9)).square().mean().backward()
        found.append({n: p.grad.clone() for n, p in phase.student.named_parameters()})
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name], msg=name)


def test_long_courses_are_scored_from_a_chunk_on(loop_of):
    config = loop_of("dmd", dmd={"longest": 9, "grow_from": 2, "grow_until": 4}).config
    early = [draw_rollout_plan(config, config.dmd, step) for step in range(2)]
    assert {plan.scored for plan in early} == {range(3)}
    assert {plan.latents for plan in early} == {4}, "whole chunks"
    late = [draw_rollout_plan(config, config.dmd, step) for step in range(4, 200)]
    begins = {plan.scored.start for plan in late}
    assert begins == {0, 2, 4, 6}
    assert all(len(plan.scored) == (2 if plan.scored.start else 3) for plan in late)
    assert max(plan.scored.stop for plan in late) <= 9
    assert sum(plan.scored.start == 0 for plan in late) / len(late) == pytest.approx(0.5, abs=0.1)
    assert draw_rollout_plan(config, config.dmd, 7) == draw_rollout_plan(config, config.dmd, 7)


def test_scored_clips_may_be_shorter_than_samples(loop_of):
    config = loop_of("dmd", dmd={"clip": 2, "longest": 6}).config
    plans = [draw_rollout_plan(config, config.dmd, step) for step in range(100)]
    assert {(c.scored.start, c.scored.stop) for c in plans} == {(0, 2), (2, 3), (4, 5)}
    with pytest.raises(ValueError, match=r"dmd\.clip is 4 latents, a sample has 3"):
        loop_of("dmd", dmd={"clip": 4})


def test_a_late_clip_begins_with_the_frame_before_it(loop_of):
    """Its control: that frame's, then those of the scored latents, played backwards here."""
    loop = loop_of("dmd")
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    plan = RolloutPlan(8, range(6, 8), place=0.9)
    with torch.no_grad():
        scored = phase.rolled(batch, plan)
    assert scored.held == 1
    assert scored.x.shape[1] == 3
    features = phase.feature_cache.features(batch)[phase.own_dino]
    # 9 frames, ping-pong: frame 20 of the stream is the clip's 4, then 5, 6 ... and back
    places = [4, 5, 6, 7, 8, 7, 6, 5, 4]
    assert torch.equal(scored.teacher.features, features[:, places])
    whole = roll_of(phase, batch, plan)
    frame = phase.encoders.vae.decode(whole[:, 3:6])[:, -1:]
    torch.testing.assert_close(scored.x[:, :1], phase.encoders.vae.encode(frame))
    assert torch.equal(scored.x[:, 1:], whole[:, 6:8])


def roll_of(phase, batch, plan):
    features = phase.feature_cache.features(batch)[phase.own_dino]
    frames = [0, 1, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3, 2, 1] * 2
    given = phase.conditions(batch, phase.kept(batch), features[:, frames[:29]])
    student = phase.student
    assert isinstance(student, CausalDenoiser)
    with torch.no_grad():
        return student.roll(
            phase.config.model,
            plan,
            phase.seeds(batch.draws),
            given.text,
            features=given.features,
            strength=given.strength,
        )
