"""Schedules, and Muon beside AdamW: which parameters each has, how large updates are, resuming."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from c2r.models.presets import get_preset
from c2r.weights.renderer import seeded_networks
from tests.trainer.small_run import changes, losses, make_clips, make_renderer
from trainer.command import train
from trainer.optim import Optimiser, learning_rate
from trainer.phases import phase_settings
from trainer.settings import OptimConfig


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patch_embedding = nn.Linear(6, 8)
        self.block = nn.Linear(8, 8)
        self.conv = nn.Conv1d(8, 8, 3)
        self.head = nn.Linear(8, 2)


def test_schedules():
    cosine = OptimConfig(lr=1.0, warmup=10, schedule="cosine", final=0.1)
    rates = [learning_rate(cosine, n, 100) for n in range(101)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[9] == pytest.approx(1.0)
    assert rates[55] == pytest.approx(0.55)
    assert rates[100] == pytest.approx(0.1)
    constant = OptimConfig(lr=1.0, warmup=0)
    assert {learning_rate(constant, n, 100) for n in range(100)} == {1.0}


def test_gradients_are_clipped_to_the_norm_allowed():
    network = nn.Linear(8, 8)
    for parameter in network.parameters():
        parameter.grad = torch.full_like(parameter, 2.0)
    norm = Optimiser(network, OptimConfig(clip=0.5)).clip()
    assert norm == pytest.approx(2.0 * 72**0.5)
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    assert sum(g.square().sum() for g in grads) ** 0.5 == pytest.approx(0.5, rel=1e-4)
    assert Optimiser(network, OptimConfig(clip=1.0)).clip() == pytest.approx(0.5, rel=1e-4)
    assert sum(g.square().sum() for g in grads) ** 0.5 == pytest.approx(0.5, rel=1e-4)


def test_weight_decay_acts_on_layers_matrices_alone():
    networks = seeded_networks(get_preset("debug"), seed=0)
    for network in (networks.dit, networks.dino):
        network.requires_grad_(True)
        optimiser = Optimiser(network, OptimConfig(weight_decay=0.5, ema=0.0))
        names = {id(p): name for name, p in network.named_parameters()}
        for group in optimiser.optimisers[0].param_groups:
            for parameter in group["params"]:
                name = names[id(parameter)]
                added = name.endswith(("bias", "modulation", "_token", "_tokens"))
                assert group["weight_decay"] == (0.0 if added or parameter.ndim == 1 else 0.5), name


def test_ema_follows_the_weights_at_its_own_pace():
    network = nn.Linear(4, 4, bias=False)
    optimiser = Optimiser(network, OptimConfig(lr=0.1, warmup=0, ema=0.75))
    expected = network.weight.detach().clone()
    for number in range(100, 103):  # sooner it follows faster
        network.weight.grad = torch.ones_like(network.weight)
        optimiser.update(number, 200)
        expected = 0.75 * expected + 0.25 * network.weight.detach()
    assert torch.allclose(optimiser.ema["weight"], expected, atol=1e-6)


def test_muon_has_the_matrices_between_hidden_activations_and_its_updates_are_orthogonal():
    torch.manual_seed(0)
    network = Network()
    config = OptimConfig(kind="muon", lr=0.01, warmup=0, weight_decay=0.0, ema=0.0)
    optimiser = Optimiser(network, config)
    muon, adam = optimiser.optimisers
    assert isinstance(muon, torch.optim.Muon)
    assert isinstance(adam, torch.optim.AdamW)
    assert [p is network.block.weight for g in muon.param_groups for p in g["params"]] == [True]
    assert sum(len(group["params"]) for group in adam.param_groups) == 7
    before = network.block.weight.detach().clone()
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    assert optimiser.update(0, 10) == 0.01
    change = network.block.weight.detach() - before
    values = torch.linalg.svdvals(change)
    assert values.min() > 0.4 * values.max()
    # As large as AdamW's, whose first update is the rate everywhere: 0.2 of it by root mean square.
    assert change.square().mean().sqrt() == pytest.approx(0.2 * 0.01, rel=0.3)


def test_a_stopped_run_with_muon_goes_on_with_the_same_losses(tmp_path):
    make_renderer(tmp_path / "renderer")
    manifest = make_clips(tmp_path / "clips")

    def settings(name: str, steps: int):
        start = {"folder": str(tmp_path / "renderer")}
        more = {
            "steps": steps,
            "precision": "bf16",
            "checkpoint": {"every": 2},
            "optim": {"kind": "muon", "warmup": 0, "lr": 1e-2},
        }
        return phase_settings(changes(tmp_path / name, manifest, "align", start=start, **more))

    train(settings("whole", 4))
    train(settings("half", 2))
    train(settings("half", 4))
    assert losses(tmp_path / "half") == losses(tmp_path / "whole")
    files = [tmp_path / run / "renderer" / "dit.safetensors" for run in ("half", "whole")]
    assert files[0].read_bytes() == files[1].read_bytes()
