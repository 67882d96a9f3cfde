"""Finds the preset that a checkpoint was made for, by its shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import nn

from c2r.models.configs import Preset, TinyVAEConfig, WanVAEConfig
from c2r.models.control_registry import CONTROL_KINDS, control_class, settings_class
from c2r.models.dino import build_dino
from c2r.models.dit import DiT
from c2r.models.presets import PRESETS
from c2r.models.text import build_text
from c2r.models.tiny_vae import TinyVAE, trim_tgrow
from c2r.models.vae import WanVAE
from c2r.weights.layouts import Naming, Network
from c2r.weights.sources import Source

Shapes = Mapping[str, tuple[int, ...]]


def shapes_in(source: Source, naming: Naming) -> dict[str, tuple[int, ...]]:
    """Our names -> shapes, as the file has them."""
    return {ours: source.entries[name].shape for ours, name in naming.names.items()}


def shapes_of(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """Names -> shapes, as the module wants them."""
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


def build_on_meta(network: Network, preset: Preset) -> nn.Module | None:
    """That network of a preset on the meta device; None if the preset has no such network."""
    with torch.device("meta"):
        if network == "dit":
            return DiT(preset.dit)
        if network in CONTROL_KINDS:
            return _control_of_kind(network, preset)
        if network == "tiny-vae" and isinstance(preset.vae, TinyVAEConfig):
            return TinyVAE(preset.vae)
        if network == "wan-vae" and isinstance(preset.vae, WanVAEConfig):
            model: nn.Module = WanVAE(preset.vae).model
            return model
        if network == "dino":
            return build_dino(preset.dino, preset.grid).model
        if network == "text-encoder":
            return build_text(preset.text).model
    return None


def _control_of_kind(kind: str, preset: Preset) -> nn.Module:
    """A control network with the preset's settings, where they are of that kind; else defaults."""
    network, own = control_class(kind), preset.control
    settings = settings_class(kind)
    shared = type(own) is settings
    config = replace(own, kind=kind) if shared else settings(kind=kind)
    return network.of(replace(preset, control=config))


def matching_preset(network: Network, shapes: Shapes) -> str | None:
    """The preset whose network has these names and shapes."""
    for preset in PRESETS.values():
        module = build_on_meta(network, preset)
        if module is not None and shapes_of(module) == _as_used(shapes, module):
            return preset.name
    return None


def describe_dit(shapes: Shapes) -> str:
    """The sizes of a DiT that can be read from its shapes (the number of heads cannot)."""
    layers = {match[1] for name in shapes if (match := re.match(r"blocks\.(\d+)\.", name))}
    parts = [f"{len(layers)} layers"]
    for label, name, axis in (
        ("width", "patch_embedding.weight", 0),
        ("ffn", "blocks.0.ffn.0.weight", 0),
        ("channels", "patch_embedding.weight", 1),
        ("text width", "text_embedding.0.weight", 1),
    ):
        if name in shapes:
            parts.append(f"{label} {shapes[name][axis]}")
    return ", ".join(parts)


def _as_used(shapes: Shapes, module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes after loading: a tiny VAE's surplus outputs are cut off."""
    empty = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    return {name: tuple(t.shape) for name, t in trim_tgrow(empty, module).items()}
