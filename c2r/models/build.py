"""Builds the networks of a preset: on the current device, or with random weights from a seed.

Random weights render noise; a program that shows it to a person prints `seeded_notice` first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from c2r.kernels.int8 import to_int8
from c2r.models.configs import Preset, TextConfig, TinyVAEConfig
from c2r.models.control import ControlNetwork
from c2r.models.control_registry import NO_CONTROL, control_class
from c2r.models.dino import DinoEncoder
from c2r.models.dit import DiT
from c2r.models.precision import cast
from c2r.models.seeded import SeededText, seeded
from c2r.models.text import build_text
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import WanVAE

SEEDED_NOTICE = (
    "RANDOM WEIGHTS: no trained weights were given for {parts}; they were made from seed {seed}. "
    "Speed is real; the frames are noise."
)

Module = TypeVar("Module", bound=nn.Module)

PART_NAMES = ("dit", "control", "vae", "dino", "text")
LARGEST_SEEDED_TEXT = 1024
"""Width up to which a text encoder is made from a seed; above it `SeededText` stands in."""


class PromptEncoder(Protocol):
    """What turns prompts into text embeddings; `TextEncoder` is one."""

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Embeddings `[B, length, dim]`, zero beyond each prompt's own length."""

    def to(self, device: torch.device | str) -> PromptEncoder:
        """Move to a device; the CPU frees the accelerator's memory."""


@dataclass(frozen=True)
class Networks:
    """Everything that one renderer runs, on one device. Sessions share it; none of it is state.

    `random_parts`: those of `PART_NAMES` whose weights are random, from a seed.
    """

    preset: Preset
    dit: DiT
    control: ControlNetwork | None
    dino: DinoEncoder
    vae: TinyVAE | WanVAE
    text: PromptEncoder
    random_parts: tuple[str, ...] = ()

    @property
    def device(self) -> torch.device:
        """Where all of them but the text encoder run; that one may be parked elsewhere."""
        return self.dit.patch_embedding.weight.device


def build_dit(preset: Preset, attention: str = "sdpa") -> DiT:
    """The DiT, with PyTorch's default initialisation."""
    return DiT(preset.dit, attention)


def build_control(preset: Preset) -> ControlNetwork | None:
    """The control network that the preset's configuration names; None for `kind='none'`."""
    kind = preset.control.kind
    return None if kind == NO_CONTROL else control_class(kind).of(preset)


def build_vae(preset: Preset) -> TinyVAE | WanVAE:
    """The VAE that the preset's configuration names."""
    if isinstance(preset.vae, TinyVAEConfig):
        return TinyVAE(preset.vae)
    return WanVAE(preset.vae)


def seeded_control(preset: Preset, seed: int) -> ControlNetwork | None:
    """A control network from a seed, its zero-initialised layers random too: not for training."""
    with seeded(seed), torch.no_grad():
        control = build_control(preset)
        for parameter in [] if control is None else control.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)
    return control


def seeded_text(config: TextConfig, seed: int) -> PromptEncoder:
    """A text encoder from a seed; for large ones random embeddings, which cost no memory."""
    if config.dim > LARGEST_SEEDED_TEXT:
        return SeededText(config, seed)
    return build_text(config, seed=seed)


def prepare_inference(module: Module, dtype: torch.dtype, device: torch.device | str) -> Module:
    """The module cast, on its device, frozen, in evaluation mode."""
    return cast(module, dtype).to(device).requires_grad_(False).eval()


def tune_for_cpu(networks: Networks) -> Networks:
    """Set float32 networks up for a CPU that multiplies in bfloat16, in place.

    DiT and VAE turn to bfloat16. DINO does so in its products only, and a control network that is
    little work (`float32_on_cpu`) not at all: their rounding would show in every frame.
    """
    cast(networks.dit, torch.bfloat16)
    cast(networks.vae, torch.bfloat16)
    if networks.control is not None and not networks.control.float32_on_cpu:
        cast(networks.control, torch.bfloat16)
    networks.dino.multiply_in(torch.bfloat16)
    networks.dit.join_qkv()
    return networks


def to_integers(networks: Networks) -> Networks:
    """Let DiT, control network and DINO multiply in 8-bit integers, in place; float32 otherwise.

    For CPUs. The VAE's convolutions stay as they are.
    """
    for network in (networks.dit, networks.control, networks.dino):
        if network is not None:
            to_int8(network)
    return networks


def seeded_notice(networks: Networks, seed: int) -> str | None:
    """What to tell a person about random weights, loudly; None when all were given."""
    if not networks.random_parts:
        return None
    return SEEDED_NOTICE.format(parts=", ".join(networks.random_parts), seed=seed)
