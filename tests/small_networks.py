"""The `debug` preset's networks that many tests share, made from a seed."""

from __future__ import annotations

from dataclasses import replace

import torch

from c2r.models.adapter import ControlAdapter
from c2r.models.configs import ControlConfig, GuideConfig, GuideForm, Preset, TinyVAEConfig
from c2r.models.control import ControlInput, ControlNetwork, strength_tensor
from c2r.models.controlnet import ControlNet
from c2r.models.dit import DiT
from c2r.models.presets import get_preset

torch.set_num_threads(1)

DEBUG = get_preset("debug")
DIT = DEBUG.dit
DINO_DIM = DEBUG.dino.hidden
GRID = DEBUG.grid


def guided(preset: Preset = DEBUG, scale: int = 2, form: GuideForm = "added") -> Preset:
    """The preset with a small guide of the decoder, which has pixel-unshuffle 2."""
    assert isinstance(preset.vae, TinyVAEConfig)
    widths = (3, 4, 6, 8, 8)[-(4 * scale).bit_length() :]
    guide = GuideConfig(scale, widths=widths, form=form)
    return replace(preset, vae=replace(preset.vae, guide=guide))


def randomise(module: torch.nn.Module, seed: int, scale: float = 0.2) -> None:
    """Add noise to every parameter, so that none is at the zero or one it was initialised to."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator) * scale)


def make_dit() -> DiT:
    torch.manual_seed(1)
    model = DiT(DIT).requires_grad_(False)
    randomise(model, 2, 0.05)
    return model


def make_adapter(inject: str = "first:2") -> ControlAdapter:
    torch.manual_seed(3)
    adapter = ControlAdapter.of(replace(DEBUG, control=ControlConfig(hidden=40, inject=inject)))
    randomise(adapter, 4)
    return adapter.requires_grad_(False)


def make_controlnet(dit: DiT, inject: str = "first:2", every_pass: bool = True) -> ControlNet:
    torch.manual_seed(5)
    config = ControlConfig(kind="controlnet", hidden=40, inject=inject, every_pass=every_pass)
    network = ControlNet.of(replace(DEBUG, control=config))
    network.start_from(dit)
    randomise(network, 6, 0.05)
    return network.requires_grad_(False)


def make_control(
    network: ControlNetwork, features: torch.Tensor, strength: float = 1.0
) -> ControlInput:
    tokens, _ = network.tokens(features)
    return ControlInput(network, tokens, GRID, strength_tensor(strength, "cpu"))
