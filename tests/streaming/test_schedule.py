"""Noise levels, and the offline sampler on a field whose answer is known."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import pytest
import torch

from c2r.streaming.guidance import GuidanceConfig, Momentum
from c2r.streaming.sampler import Prepared, Sampler, SamplerConfig
from c2r.streaming.schedule import (
    add_noise,
    clean_from_velocity,
    few_step_levels,
    many_step_levels,
    shift_level,
)
from c2r.streaming.solvers import SOLVERS, SolverName, solver_of
from tests.small_networks import DINO_DIM, make_adapter, make_control, make_controlnet

OFF = GuidanceConfig("none")


def test_self_forcing_levels():
    levels = few_step_levels((1000, 750, 500, 250), 5.0)
    assert [1000 * level for level in levels] == pytest.approx(
        [1000, 937.5, 833.333, 625], abs=0.01
    )
    assert shift_level(0.3, 1.0) == pytest.approx(0.3)


@pytest.mark.parametrize("wrong", [(), (500, 750), (1200, 500), (1000, 0), (1000, 1000)])
def test_bad_timesteps(wrong):
    with pytest.raises(ValueError, match="must fall"):
        few_step_levels(wrong, 5.0)


def test_many_steps_fall_to_zero():
    levels = many_step_levels(50, 5.0)
    assert len(levels) == 51
    assert levels[0] == 1
    assert levels[-1] == 0
    assert all(a > b for a, b in pairwise(levels))
    with pytest.raises(ValueError, match="at least 1"):
        many_step_levels(0, 5.0)


def test_velocity_and_noise_agree():
    clean, noise = torch.randn(2, 3), torch.randn(2, 3)
    x = add_noise(clean, noise, 0.7)
    torch.testing.assert_close(clean_from_velocity(x, noise - clean, 0.7), clean)


@dataclass(frozen=True)
class TowardsTarget(Sampler):
    """The exact velocity field of one known clip: Euler must land on it in any number of steps."""

    target: torch.Tensor = field(default_factory=lambda: torch.zeros(()))

    def predict(self, x, level, text, control):
        return (x - self.target) / level


@pytest.mark.parametrize("kind", ["none", "cfg"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_solvers_land_on_the_target(dit, kind, solver):
    target, noise = torch.randn(1, 2, 16, 6, 8), torch.randn(1, 2, 16, 6, 8)
    sampler = TowardsTarget(dit, (), (), target=target)
    config = SamplerConfig(7, 5.0, GuidanceConfig(kind, text_scale=3.0), solver)
    seen = []
    got = sampler.run(noise, config, on_step=lambda done, of: seen.append((done, of)))
    torch.testing.assert_close(got, target, atol=1e-5, rtol=1e-4)
    assert seen == [(step, 7) for step in range(1, 8)]


class Gaussian(Sampler):
    """The velocity field of latents that are normal with mean 0.5 and deviation 0.4, whose flow is
    known: noise z ends at 0.5 + 0.4 z.
    """

    def predict(self, x, level, text, control):
        clean = 1 - level
        variance = (0.4 * clean) ** 2 + level**2
        return (level - 0.16 * clean) / variance * (x - 0.5 * clean) - 0.5


def test_unipc_needs_half_the_steps_of_euler(dit):
    noise = torch.randn(1, 2, 16, 6, 8)
    sampler = Gaussian(dit, (), ())

    def error(solver: SolverName, steps: int) -> float:
        found = sampler.run(noise, SamplerConfig(steps, 3.0, OFF, solver))
        return (found - (0.5 + 0.4 * noise)).abs().max().item()

    assert error("unipc", 20) < error("euler", 40)
    assert error("unipc", 300) < 1e-3, "steps that share a whole timestep"
    assert error("unipc", 40) < 0.1 * error("euler", 40)


def test_unknown_solvers_and_too_few_steps():
    with pytest.raises(ValueError, match="use euler or unipc"):
        solver_of("heun", 10, 5.0)  # type: ignore[arg-type]
    for name in SOLVERS:
        with pytest.raises(ValueError, match="at least 1 step"):
            solver_of(name, 0, 5.0)


def test_scales_of_one_are_one_pass(dit):
    adapter = make_adapter()
    text, negative = (dit.text_kv(torch.randn(1, 16, 32)) for _ in range(2))
    control = make_control(adapter, torch.randn(1, 9, 12, DINO_DIM))
    sampler = Sampler(dit, text, negative, control)
    noise = torch.randn(1, 3, 16, 6, 8)
    plain = sampler.run(noise, SamplerConfig(3, 5.0, GuidanceConfig("none")))
    neutral = GuidanceConfig("cfg", control_scale=1.0, text_scale=1.0)
    torch.testing.assert_close(
        sampler.run(noise, SamplerConfig(3, 5.0, neutral)), plain, atol=1e-5, rtol=1e-4
    )
    guided = sampler.run(noise, SamplerConfig(3, 5.0, GuidanceConfig("apg")))
    assert guided.isfinite().all()
    assert (guided - plain).abs().max() > 1e-3


@dataclass(frozen=True)
class Told(Sampler):
    """Gives a constant for each pass: by prompt and by whether control is there."""

    def predict(self, x, level, text, control):
        return torch.full_like(x, (5.0 if text is self.text else 1.0) + (0.25 if control else 0.0))

    def prepared(self):
        return Prepared(self.control, self.control)


def test_which_pass_gets_what(dit):
    """v00: negative without control; vC0: negative with it; vCT: prompt with it."""
    control = make_control(make_adapter(), torch.randn(1, 5, 12, DINO_DIM))
    sampler = Told(dit, (), [], control)
    x = torch.zeros(1, 2, 16, 6, 8)
    config = GuidanceConfig("cfg", control_scale=2.0, text_scale=3.0)
    got, _ = sampler.guided(x, 1.0, sampler.prepared(), Momentum(), config)
    assert got.unique().tolist() == [1.0 + 2.0 * 0.25 + 3.0 * 4.0]
    plain = GuidanceConfig("none")
    got, _ = sampler.guided(x, 1.0, sampler.prepared(), Momentum(), plain)
    assert got.unique().tolist() == [5.25]


def test_clones_run_once_a_clip_for_each_prompt(dit):
    network = make_controlnet(dit, every_pass=False)
    text, negative = (dit.text_kv(torch.randn(1, 16, 32), network) for _ in range(2))
    control = make_control(network, torch.randn(1, 9, 12, DINO_DIM))
    calls = []
    network.blocks[0].register_forward_hook(lambda *_: calls.append(1))
    config = SamplerConfig(4, 5.0, GuidanceConfig("cfg"))
    Sampler(dit, text, negative, control).run(torch.randn(1, 3, 16, 6, 8), config)
    assert len(calls) == 2


def test_the_release_settings():
    """Published: 50 steps, shift 5, APG with control 1, text 10, eta 0, momentum -0.5, no norm."""
    assert SamplerConfig() == SamplerConfig(
        50,
        5.0,
        GuidanceConfig("apg", 1.0, 10.0, eta=0.0, momentum=-0.5, norm_threshold=None),
        "euler",
    )
