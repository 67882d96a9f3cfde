"""Distribution matching: its gradient, its turns, the conditions of everyone, the adversary."""

from __future__ import annotations

import json
import shutil
from typing import Any, cast

import pytest
import torch
from torch import nn

from c2r.streaming.guidance import GuidanceConfig
from tests.trainer.small_run import make_clips
from trainer.data.loader import Prefetcher
from trainer.data.manifest import read_manifest
from trainer.distill.losses import (
    judge_losses,
    matching_gradient,
    matching_losses,
    score_levels,
    student_losses,
    tokens_after,
)
from trainer.distill.provenance import PROVENANCE_FILE
from trainer.distill.rollout_plan import RolloutPlan, draw_rollout_plan
from trainer.distill.settings import DmdConfig
from trainer.distill.student import CausalDenoiser
from trainer.distill.teacher import Conditions, Teacher, keep_on_cpu
from trainer.phases.dmd import Scored


class Linear(nn.Module):
    """Sees `a x + b mean(text) + c strength` in a noisy clip."""

    def __init__(self, a: float, b: float, c: float) -> None:
        super().__init__()
        self.a, self.b, self.c = a, b, c

    def clean(self, x, text, strength):
        by_text = self.b * text.mean((1, 2))[:, None, None, None, None]
        return self.a * x + by_text + self.c * strength[:, None, None, None, None]

    def forward(self, x, timestep, text, *, features, strength):
        level = (timestep / 1000)[:, None, None, None, None]
        return (x - self.clean(x, text, strength)) / level


def conditions(count: int) -> Conditions:
    empty = torch.zeros(count, 4, 5)
    return Conditions(
        torch.randn(count, 4, 5), empty, torch.zeros(count, 9, 6, 3), torch.ones(count)
    )


@pytest.mark.parametrize("held", [0, 1])
def test_the_gradient_on_a_linear_toy_is_the_analytic_one(loop_of, held):
    """x0_real and x0_fake are lines, so the whole gradient can be written down."""
    guidance = {"guidance": {"kind": "cfg", "control_scale": 1.5, "text_scale": 4.0}}
    loop = loop_of("dmd", distil=guidance)
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    real, fake = Linear(0.6, 2.0, 0.3), Linear(0.9, 1.0, 0.1)
    phase.real, phase.critic = Teacher(cast(Any, real), phase.config.distil.guidance), fake
    torch.manual_seed(1)
    x = torch.randn(2, 3, 16, 6, 8, requires_grad=True)
    given = conditions(2)
    losses = phase._student_losses(Scored(x, held, given, given), batch)
    losses.total.backward()
    assert x.grad is not None
    noisy, _, levels = phase._noised(x.detach(), batch, "score")
    assert (losses.levels == levels).all()
    by_text = given.text.mean((1, 2))[:, None, None, None, None]
    # v00 + 1.5 (vC0 - v00) + 4 (vCT - vC0), in x_0: a x + 1.5 c + 4 b text
    x0_real = 0.6 * noisy + 1.5 * 0.3 + 4 * 2.0 * by_text
    x0_fake = 0.9 * noisy + 0.1 + by_text
    made = slice(held, None)
    scale = (x.detach() - x0_real)[:, made].abs().mean((1, 2, 3, 4), keepdim=True)
    gradient = ((x0_fake - x0_real)[:, made]) / scale
    expected = gradient / gradient[0].numel() / 2  # mean over numbers, then over two samples
    torch.testing.assert_close(x.grad[:, made], expected, atol=1e-7, rtol=1e-4)
    assert not x.grad[:, :held].any()


def test_the_loss_has_the_gradient_as_its_own():
    torch.manual_seed(0)
    x, real, fake = (torch.randn(2, 3, 4, 2, 2) for _ in range(3))
    x.requires_grad_(True)
    gradient = matching_gradient(x.detach(), real, fake)
    expected = (fake - real) / (x - real).abs().flatten(1).mean(1)[:, None, None, None, None]
    torch.testing.assert_close(gradient, expected.detach())
    samples = matching_losses(x, gradient)
    torch.testing.assert_close(samples, 0.5 * gradient.square().flatten(1).mean(1))
    samples.sum().backward()
    torch.testing.assert_close(x.grad, gradient / 48)


def test_levels_are_shifted_and_clamped():
    draws = range(4000)
    levels = score_levels(DmdConfig(), 5.0, 0, draws, "score level")
    assert levels.min() >= 0.02
    assert levels.max() == pytest.approx(0.98)
    plain = score_levels(DmdConfig(), 1.0, 0, draws, "score level")
    expected = 5 * plain / (1 + 4 * plain)
    inside = (expected > 0.021) & (expected < 0.979) & (plain > 0.02) & (plain < 0.98)
    torch.testing.assert_close(levels[inside], expected[inside])


@pytest.mark.parametrize(
    ("guidance", "passes"),
    [
        (GuidanceConfig(kind="none"), 1),
        (GuidanceConfig(kind="cfg", control_scale=1.0, text_scale=1.0), 1),
        (GuidanceConfig(kind="cfg", control_scale=1.0, text_scale=4.0), 2),
        (GuidanceConfig(kind="cfg", control_scale=2.0, text_scale=3.0), 3),
        (GuidanceConfig(kind="cfg", control_scale=2.0, text_scale=3.0, interval=(0.1, 0.5)), 3),
    ],
)
def test_guidance_in_one_batch_is_guidance_in_several(loop_of, guidance, passes):
    phase = loop_of("dmd").phase
    denoiser = phase.real.denoiser
    torch.manual_seed(2)
    x, levels = torch.randn(2, 3, 16, 6, 8), torch.tensor([0.3, 0.8])
    text, empty = torch.randn(2, 64, 32), torch.randn(1, 64, 32).expand(2, -1, -1)
    given = Conditions(text, empty, torch.randn(2, 9, 12, 32), torch.tensor([1.0, 0.5]))
    sizes = []
    hook = denoiser.register_forward_hook(lambda module, args, out: sizes.append(len(out)))
    found = Teacher(denoiser, guidance).clean(x, levels, given)
    hook.remove()
    assert sizes == [2 * passes]

    def clean(text, strength):
        with torch.no_grad():
            velocity = denoiser(x, 1000 * levels, text, features=given.features, strength=strength)
        return x - levels[:, None, None, None, None] * velocity

    both, control = clean(text, given.strength), clean(empty, given.strength)
    nothing = clean(empty, torch.zeros(2))
    s_c, s_t = guidance.control_scale, guidance.text_scale
    expected = both
    if guidance.kind == "cfg":
        expected = nothing + s_c * (control - nothing) + s_t * (both - control)
        unguided = [row for row, level in enumerate(levels.tolist()) if not guidance.active(level)]
        expected[unguided] = both[unguided]
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    assert (both - control).abs().max() > 1e-3
    assert (control - nothing).abs().max() > 1e-3


def test_teacher_and_critic_get_the_same_control(loop_of):
    """The same text, frames and strength; so does the student, which sees the whole stream."""
    data = {"text_dropout": 0.3, "joint_dropout": 0.4}
    loop = loop_of("dmd", data=data, model={"negative_prompt": "fog"})
    phase, batch, seen = loop.phase, loop.dataset.batch(range(8)), {}

    def spy(name):
        def keep(module, args, kwargs, out):
            seen[name] = (args[0].detach(), args[2].detach(), kwargs)

        return keep

    hooks = [
        phase.real.denoiser.register_forward_hook(spy("teacher"), with_kwargs=True),
        phase.critic.register_forward_hook(spy("critic"), with_kwargs=True),
    ]
    assert phase.turn(5) == "student"
    phase.losses(batch, 5)
    for hook in hooks:
        hook.remove()
    (x, text, control), (own_x, own_text, own_control) = seen["teacher"], seen["critic"]
    assert len(x) == 16, "text guidance takes two passes"
    assert len(own_x) == 8
    for half in (slice(8), slice(8, 16)):
        assert torch.equal(x[half], own_x)
        assert torch.equal(control["features"][half], own_control["features"])
        assert torch.equal(control["strength"][half], own_control["strength"])
    assert torch.equal(text[8:], own_text)
    assert set(own_control["strength"].tolist()) == {0.0, 1.0}, "dropped for both alike"
    away_from = phase.encoders.text_encoder.encode(["fog"])
    assert torch.equal(text[:8], away_from.expand(8, -1, -1))
    assert not torch.equal(away_from, phase.encoders.empty)


def test_parts_take_turns_and_only_the_one_whose_turn_it_is_learns(loop_of):
    loop = loop_of(
        "dmd",
        steps=9,
        dmd={"critic_updates": 2, "critic_lr": 1e-3, "gan": {"weight": 0.5, "blocks": [0, 2]}},
    )
    phase = loop.phase
    turns = [phase.turn(step) for step in range(9)]
    assert turns == ["critic", "critic", "adversary", "student"] * 2 + ["critic"]
    assert loop.totals == {"student": 2, "critic": 5, "adversary": 2}
    assert phase.optim("critic").lr == 1e-3
    assert (phase.optim("critic").ema, phase.optim("student").ema) == (0.0, 0.9)
    teacher = [p.clone() for p in phase.real.denoiser.parameters()]
    ahead = Prefetcher(loop.dataset, loop.draws, start=0, depth=0, workers=1)
    for _ in range(4):
        before = {
            part: [p.detach().clone() for p in module.parameters()]
            for part, module in phase.parts.items()
        }
        values = loop.train_step(ahead)
        moved = {
            part
            for part, module in phase.parts.items()
            if any(
                not torch.equal(a, b)
                for a, b in zip(before[part], module.parameters(), strict=True)
            )
        }
        assert moved == {phase.turn(loop.step)}
        left = [p for module in phase.parts.values() for p in module.parameters()]
        assert all(p.grad is None for p in left), "nothing waits for another part's turn"
        assert f"loss/{phase.turn(loop.step)}" in values
        loop.step += 1
    pairs = zip(teacher, phase.real.denoiser.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_the_critic_learns_what_the_student_makes(loop_of):
    """Its target is `e - x` of the student's clip, its gradient none of the student's."""
    loop = loop_of("dmd")
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    seen: dict[str, Any] = {}
    hook = phase.critic.register_forward_hook(
        lambda module, args, kwargs, out: seen.update(x=args[0], timestep=args[1], out=out),
        with_kwargs=True,
    )
    losses = phase.losses(batch, 0)
    hook.remove()
    with torch.no_grad():
        scored = phase.rolled(
            batch,
            RolloutPlan(4, range(3), draw_rollout_plan(phase.config, phase.config.dmd, 0).place),
        )
    levels = (seen["timestep"] / 1000)[:, None, None, None, None]
    drawn = (seen["x"] - (1 - levels) * scored.x) / levels
    assert drawn.std() == pytest.approx(1, abs=0.1), "the student's clip and noise"
    expected = (seen["out"] - (drawn - scored.x)).square().flatten(1).mean(1)
    torch.testing.assert_close(losses.samples, expected.detach(), atol=1e-3, rtol=1e-3)
    losses.total.backward()
    assert all(p.grad is None for p in phase.student.parameters())
    assert any(p.grad is not None for p in phase.critic.parameters())


def test_the_adversary_judges_and_the_student_hears_it(loop_of):
    gan = {"weight": 1.0, "blocks": [0, 2]}
    loop = loop_of("dmd", dmd={"gan": gan})
    phase, batch = loop.phase, loop.dataset.batch([0, 1])
    torch.manual_seed(4)
    x = torch.randn(2, 3, 16, 6, 8, requires_grad=True)
    text, features = torch.randn(2, 64, 32), torch.randn(2, 9, 12, 32)
    given = Conditions(text, text, features, torch.ones(2))
    found = tokens_after(phase.real.denoiser, (0, 2), x, torch.tensor([0.2, 0.7]), given)
    assert [one.shape for one in found] == [(2, 36, 48)] * 2
    assert not torch.equal(*found)
    verdicts = phase.adversary(found)
    assert verdicts.shape == (2, 72)
    student_losses(verdicts).sum().backward()
    assert x.grad is not None
    assert x.grad.any()
    assert all(p.grad is None for p in phase.real.denoiser.parameters())
    sure, unsure = torch.full((2, 4), 2.0), torch.zeros(2, 4)
    assert judge_losses(sure, -sure).tolist() == [0, 0]
    assert judge_losses(unsure, unsure).tolist() == [2, 2]
    with_term = phase._student_losses(Scored(x.detach(), 0, given, given), batch)
    phase.adversary = None
    without = phase._student_losses(Scored(x.detach(), 0, given, given), batch)
    assert (with_term.samples - without.samples).abs().min() > 1e-4


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"gan": {"weight": 1.0, "blocks": [0, 3]}}, r"dmd\.gan\.blocks .* 0 to 2"),
        ({"lowest": 980.0}, r"dmd\.lowest"),
        ({"grow_from": 5}, r"grow_until"),
        ({"from_start": 1.5}, r"dmd\.from_start"),
        ({"critic_updates": 0}, "critic_updates is 0"),
    ],
)
def test_settings_that_cannot_be(loop_of, more, words):
    with pytest.raises(ValueError, match=words):
        loop_of("dmd", dmd=more)


def test_a_teacher_in_main_memory_says_the_same(loop_of):
    answers = []
    torch.manual_seed(5)
    x, levels = torch.randn(1, 3, 16, 6, 8), torch.tensor([0.5])
    text = torch.randn(1, 64, 32)
    given = Conditions(text, text * 0, torch.randn(1, 9, 12, 32), torch.ones(1))
    for place in ("device", "cpu"):
        teacher = loop_of("dmd", distil={"teacher_on": place}).phase.real
        assert isinstance(teacher.denoiser, CausalDenoiser)
        answers.append(teacher.clean(x, levels, given))
    assert torch.equal(*answers)
    hooks = [len(block._forward_pre_hooks) for block in teacher.denoiser.blocks]
    assert hooks == [1, 1, 1]


def test_blocks_in_main_memory_never_visit_the_device_to_be_placed(loop_of):
    """Else a card too small for the teacher would be full before training begins."""
    denoiser = loop_of("dmd").phase.critic
    keep_on_cpu(denoiser, torch.device("meta"))
    blocks = {p for block in denoiser.blocks for p in block.parameters()}
    assert {p.device.type for p in blocks} == {"cpu"}
    assert {p.device.type for p in denoiser.parameters() if p not in blocks} == {"meta"}


def test_a_teacher_away_cannot_be_gone_back_through(loop_of):
    with pytest.raises(ValueError, match=r"leave out one of them"):
        loop_of("dmd", dmd={"gan": {"weight": 1.0}}, distil={"teacher_on": "cpu"})


def test_it_opens_no_fine_video(loop_of, tmp_path):
    """Prompts and coarse clips are enough; with the adversarial term they are not."""
    manifest = make_clips(tmp_path / "clips", real=0, cg=2)
    for clip in read_manifest(manifest):
        (manifest.parent / clip.video).write_bytes(b"no video")
    data = {"manifest": str(manifest), "cg_ratio": 1.0, "bad_clips": "error"}
    gan = {"weight": 0.1, "blocks": [1]}
    with pytest.raises(ValueError, match="cannot be read"):
        loop_of("dmd", data=data, dmd={"gan": gan}).dataset.batch([0])
    loop = loop_of("dmd", data=data, steps=2, log={"sample_every": 1}, dmd={"critic_updates": 1})
    loop.run()
    assert loop.step == 2


def test_a_causal_teacher_cannot_score_whole_clips(root, tmp_path, loop_of):
    student = tmp_path / "student"
    shutil.copytree(root / "renderer", student)
    (student / PROVENANCE_FILE).write_text(json.dumps({"phase": "consistency"}), encoding="utf-8")
    with pytest.raises(ValueError, match=r"is causal \(phase consistency\)"):
        loop_of("dmd", start={"folder": str(student)})
    teacher = {"teacher": str(root / "renderer")}
    assert loop_of("dmd", start={"folder": str(student)}, distil=teacher).phase.real
