"""A kind of control is one row: built, run, counted, saved and loaded like those that are here."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
import torch

from c2r.config import override
from c2r.models.build import build_control
from c2r.models.control import ControlInput, strength_tensor
from c2r.models.control_registry import CONTROL_KINDS, check_kind, control_class
from c2r.models.describe import cost
from c2r.models.dit import DiT
from c2r.models.presets import get_preset
from c2r.weights.info import inspect_path
from c2r.weights.layouts import layout_names
from c2r.weights.renderer import load_networks, read_renderer, save_renderer, seeded_networks
from tests.models.toy_control import ROW, ToyConfig, ToyControl

DEBUG = get_preset("debug")


@pytest.fixture
def toy(monkeypatch):
    """The `debug` preset with control of the toy kind, as a configuration file would ask for it."""
    monkeypatch.setitem(CONTROL_KINDS, "toy", ROW)
    return override(DEBUG, {"control": {"kind": "toy", "block": 2}})


@pytest.mark.parametrize("kind", CONTROL_KINDS)
def test_every_row_names_its_class(kind):
    assert control_class(kind).kind == kind


def test_unknown_kinds_are_refused():
    with pytest.raises(ValueError, match="use 'adapter', 'controlnet' or 'none'"):
        check_kind("magic")
    with pytest.raises(ValueError, match="no network"):
        control_class("none")


def test_a_preset_is_read_without_torch():
    code = "import sys, c2r.models.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_new_kind_has_its_own_settings(toy):
    assert toy.control == ToyConfig(kind="toy", hidden=3072, block=2)
    with pytest.raises(ValueError, match=r"unknown key 'control\.blok'"):
        override(DEBUG, {"control": {"kind": "toy", "blok": 2}})


def test_a_new_kind_steers_the_dit(toy):
    network = build_control(toy)
    assert isinstance(network, ToyControl)
    torch.manual_seed(0)
    dit = DiT(toy.dit).requires_grad_(False)
    torch.nn.init.normal_(dit.head.head.weight)
    network.requires_grad_(False).start_from(dit)
    assert (network.toy_projection.bias == dit.patch_embedding.weight.mean()).all()
    tokens, _ = network.tokens(torch.randn(1, 5, toy.tokens_per_latent, toy.dino.hidden))
    x, timestep = torch.randn(1, 2, 16, *toy.latent_size), torch.tensor([500.0])
    text = dit.text_kv(torch.randn(1, toy.text.length, toy.text.dim), network)
    velocity = [
        dit(x, timestep, text, control=ControlInput(network, tokens, toy.grid, strength))
        for strength in (strength_tensor(0, "cpu"), strength_tensor(1, "cpu"))
    ]
    assert torch.equal(velocity[0], dit(x, timestep, text))
    assert (velocity[1] - velocity[0]).abs().max() > 1e-4


def test_a_new_kind_is_saved_recognised_and_loaded(toy, tmp_path):
    networks = seeded_networks(toy, seed=1)
    save_renderer(networks, tmp_path)
    (info,) = inspect_path(tmp_path / "control.safetensors")
    assert (info.layout, info.network) == ("toy", "toy")
    assert "network     toy control, layout toy" in info.text()
    assert "toy" in layout_names().split(", ")
    preset, paths = read_renderer(tmp_path)
    assert preset == toy
    loaded = load_networks(preset, paths).control
    assert isinstance(loaded, ToyControl)
    assert networks.control is not None
    expected = networks.control.state_dict()
    assert all(torch.equal(v, expected[name]) for name, v in loaded.state_dict().items())
    with pytest.raises(ValueError, match="holds a toy control"):
        load_networks(DEBUG, replace(paths))


def test_a_new_kind_is_counted(toy):
    without = override(DEBUG, {"control": {"kind": "none"}})
    extra = cost(toy).dit_pass.total - cost(without).dit_pass.total
    assert extra == pytest.approx(1e6)
