"""Loads each network in one call: build it on meta, find its file, check it, fill it.

Every function takes a file, a folder or a hub id (`folders.open_source`), returns the network in
evaluation mode, and raises `ValueError` or `FileNotFoundError` with the remedy. DINO and the text
encoder are loaded by `transformers` in their own modules.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from c2r.models.configs import DiTConfig, TinyVAEConfig, WanVAEConfig
from c2r.models.control import ControlNetwork
from c2r.models.dit import DiT
from c2r.models.seeded import seeded
from c2r.models.tiny_vae import TinyVAE, trim_tgrow
from c2r.models.vae import WanVAE
from c2r.weights.folders import open_source
from c2r.weights.load import identify, load_into
from c2r.weights.sources import source_of_tensors

log = logging.getLogger(__name__)

GUIDE = "guide."
"""What the names of a guide's tensors begin with."""


def load_dit(
    path: str | Path,
    config: DiTConfig,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
    attention: str = "sdpa",
) -> DiT:
    """A Wan DiT from any of its layouts: official, diffusers, Self-Forcing, C2R backbone."""
    with torch.device("meta"):
        dit = DiT(config, attention)
    source = open_source(path, "dit")
    load_into(dit, source, identify(source, "dit"), dtype=dtype, device=device)
    return dit.eval()


def load_control(
    path: str | Path,
    module: ControlNetwork,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> None:
    """Fill a control network, on meta or real, from a checkpoint of its kind."""
    source = open_source(path, module.kind)
    load_into(module, source, identify(source, module.kind), dtype=dtype, device=device)
    module.eval()


def load_tiny_vae(
    path: str | Path,
    config: TinyVAEConfig,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
    guide_seed: int | None = None,
) -> TinyVAE:
    """A TAEHV; its `TGrow` weights may have more outputs than are used.

    `guide_seed`: for training, where guides come and go: one is made where the config has one and
    the file has none, and left out where it is the other way round. Both are a `ValueError`
    otherwise.
    """
    with torch.device("meta"):
        vae = TinyVAE(config)
    source = open_source(path, "tiny-vae")
    naming = identify(source, "tiny-vae")
    whole = {ours: source.read(name) for ours, name in naming.names.items()}  # about 20 MB
    if config.guide is not None and not _has_guide(whole):
        if guide_seed is None:
            raise ValueError(
                f"{source.path} has no guide, but the preset's VAE wants one (vae.guide): train it "
                "first, or set vae.guide to null to render by the decoder alone"
            )
        whole |= _fresh_guide(config, guide_seed)
    if config.guide is None and _has_guide(whole):
        if guide_seed is None:
            raise ValueError(
                f"{source.path} is a VAE with a guide, but the preset's has none: set vae.guide as "
                "in the preset.yaml that training wrote beside it"
            )
        log.warning("the guide of %s is left out: the model's VAE has none", source.path)
        whole = {name: x for name, x in whole.items() if not name.startswith(GUIDE)}
    trimmed = source_of_tensors(source.path, trim_tgrow(whole, vae))
    load_into(
        vae,
        trimmed,
        replace(naming, names={name: name for name in whole}),
        dtype=dtype,
        device=device,
    )
    return vae.eval()


def _has_guide(tensors: Mapping[str, Tensor]) -> bool:
    return any(name.startswith(GUIDE) for name in tensors)


def _fresh_guide(config: TinyVAEConfig, seed: int) -> dict[str, Tensor]:
    """The tensors of a new guide by their names in a `TinyVAE`; form `added` changes no frame."""
    with seeded(seed):
        vae = TinyVAE(config)
    return {name: x for name, x in vae.state_dict().items() if name.startswith(GUIDE)}


def load_wan_vae(
    path: str | Path,
    config: WanVAEConfig,
    *,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
) -> WanVAE:
    """The Wan 2.1 VAE, from the official `.pth` or a diffusers folder."""
    with torch.device("meta"):
        vae = WanVAE(config)
    source = open_source(path, "wan-vae")
    load_into(vae.model, source, identify(source, "wan-vae"), dtype=dtype, device=device)
    return vae.to(device).eval()
