"""Limited frames: those of clamp, and gradients that lead back inside."""

from __future__ import annotations

import torch

from c2r.models.limit import limited


def test_frames_are_those_of_clamp_with_and_without_gradients():
    torch.manual_seed(0)
    x = 2 * torch.randn(3, 4, 5)
    assert limited(x).equal(x.clamp(0, 1))
    assert limited(x.clone().requires_grad_(True)).equal(x.clamp(0, 1))


def test_beyond_a_limit_gradients_lead_back_inside_and_never_farther_out():
    torch.manual_seed(1)
    x, wanted = 2 * torch.randn(1000), torch.rand(1000)
    x.requires_grad_(True)
    slope = torch.randn(1000)
    (limited(x) * slope).sum().backward()
    assert x.grad is not None
    below, above = x < 0, x > 1
    inside = ~(below | above)
    assert x.grad[inside].equal(slope[inside])
    assert x.grad[below].equal(slope[below].clamp_max(0))
    assert x.grad[above].equal(slope[above].clamp_min(0))
    moved = x.detach().clone().requires_grad_(True)
    for _ in range(800):
        (slope,) = torch.autograd.grad((limited(moved) - wanted).abs().sum(), moved)
        moved = (moved - 0.02 * slope).detach().requires_grad_(True)
    assert (limited(moved.detach()) - wanted).abs().max() < 0.05
