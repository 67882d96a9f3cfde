"""The networks of a preset, made anew: on the device in force, or with weights from a seed.

Random weights give pictures of noise; whoever shows them to a person says so (`SEEDED_NOTICE`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from c2r.models.adapter import ControlAdapter
from c2r.models.controlnet import ControlNet
from c2r.models.dino import DinoEncoder, build_dino
from c2r.models.dit import DiT
from c2r.models.precision import cast
from c2r.models.presets import Preset, TinyVAEConfig
from c2r.models.seeded import seeded
from c2r.models.text import TextEncoder, build_text
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import WanVAE

SEEDED_NOTICE = (
    "RANDOM WEIGHTS: no trained weights were given, so the networks were made from seed {seed}. "
    "Speed is real; the pictures are noise."
)


@dataclass(frozen=True)
class Networks:
    """Everything that one renderer runs, on one device. Sessions share it; none of it is state."""

    preset: Preset
    dit: DiT
    control: ControlAdapter | ControlNet | None
    dino: DinoEncoder
    vae: TinyVAE | WanVAE
    text: TextEncoder


def build_dit(preset: Preset, attention: str = "sdpa") -> DiT:
    """The DiT, with PyTorch's default initialisation."""
    return DiT(preset.dit, attention)


def build_control(preset: Preset) -> ControlAdapter | ControlNet | None:
    """The control network that the preset's configuration names; None for `kind='none'`."""
    if preset.control.kind == "none":
        return None
    if preset.control.kind == "adapter":
        dit = preset.dit
        return ControlAdapter(preset.control, preset.dino.hidden, dit.dim, dit.layers)
    return ControlNet(preset.control, preset.dino.hidden, preset.dit)


def build_vae(preset: Preset) -> TinyVAE | WanVAE:
    """The VAE that the preset's configuration names."""
    if isinstance(preset.vae, TinyVAEConfig):
        return TinyVAE(preset.vae)
    return WanVAE(preset.vae)


def _wake(module: nn.Module) -> None:
    """Give layers that start at zero a small random value, so that their path is exercised."""
    for parameter in module.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)


def seeded_networks(
    preset: Preset,
    seed: int,
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    attention: str = "sdpa",
) -> Networks:
    """All networks with random weights from `seed`, the same on every machine.

    Control layers that training would start at zero are random too. Not for training.
    """
    with seeded(seed), torch.no_grad():
        dit, control, vae = build_dit(preset, attention), build_control(preset), build_vae(preset)
        if control is not None:
            _wake(control)
        dino = build_dino(preset.dino, preset.grid)
        text = build_text(preset.text)
    parts: list[nn.Module] = [dit, vae, dino, text.model]
    parts += [] if control is None else [control]
    for module in parts:
        cast(module, dtype).to(device).requires_grad_(False).eval()
    return Networks(preset, dit, control, dino, vae, text)
