"""The networks as a run starts from them: from weights, or from its seed, one at a time.

Fresh DiTs and control networks are initialised for training (a head and hints that begin at zero),
unlike the seeded ones of a renderer without weights.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from c2r.models.build import PromptEncoder, build_control, build_dit, build_vae, seeded_text
from c2r.models.configs import TinyVAEConfig
from c2r.models.control import ControlNetwork
from c2r.models.dino import DinoEncoder, build_dino, load_dino
from c2r.models.dit import DiT
from c2r.models.seeded import seeded
from c2r.models.text import TextEncoder, load_text
from c2r.models.tiny_vae import TinyVAE
from c2r.models.vae import WanVAE
from c2r.weights.networks import load_control, load_dit, load_tiny_vae, load_wan_vae
from trainer.settings import StartConfig, TrainConfig, start_paths

log = logging.getLogger(__name__)

EMBEDDING_STD = 0.02
"""Of text and time embeddings (Wan-Video/Wan2.1, `init_weights`)."""


def initialise_dit(dit: DiT) -> DiT:
    """Wan's own initialisation: Xavier in the blocks, small embeddings, a head of zeros."""
    for module in dit.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)
    nn.init.xavier_uniform_(dit.patch_embedding.weight.data.flatten(1))
    for embedding in (dit.text_embedding, dit.time_embedding):
        for layer in embedding:
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=EMBEDDING_STD)
    nn.init.zeros_(dit.head.head.weight)
    return dit


class Start:
    """Makes each part of the run's renderer, always the same one, on the CPU in float32."""

    def __init__(self, config: TrainConfig) -> None:
        self.config, self.preset = config, config.model
        self.seed = config.start.seed
        self._told: set[str] = set()

    @cached_property
    def paths(self) -> dict[str, str | None]:
        """Where each part's weights are; None: made from the seed."""
        return start_paths(self.config.start)

    def fresh(self, part: str) -> bool:
        """Whether a part begins from the seed; says so in the log."""
        if self.paths[part] is not None:
            return False
        if part not in self._told:
            self._told.add(part)
            log.warning("RANDOM WEIGHTS: %s begins from seed %d", part, self.seed)
        return True

    def dit(self) -> DiT:
        if not self.fresh("dit"):
            path, attention = str(self.paths["dit"]), self.config.attention
            return load_dit(path, self.preset.dit, dtype=torch.float32, attention=attention)
        with seeded(self.seed):
            return initialise_dit(build_dit(self.preset, self.config.attention))

    def control(self, dit: DiT) -> ControlNetwork:
        """The control network; a fresh one takes from `dit` what its kind starts from."""
        if self.preset.control.kind == "none":
            raise ValueError(
                "this run needs control, but model.control.kind is none; set it to adapter or "
                "controlnet"
            )
        fresh = self.fresh("control")
        with seeded(self.seed):
            control = build_control(self.preset)
        assert control is not None
        if not fresh:
            load_control(str(self.paths["control"]), control, dtype=torch.float32)
        else:
            control.start_from(dit)
        return control

    def dino(self) -> DinoEncoder:
        if self.fresh("dino"):
            return build_dino(self.preset.dino, self.preset.grid, seed=self.seed)
        dino = load_dino(str(self.paths["dino"]), self.preset.grid)
        if dino.dim != self.preset.dino.hidden:
            raise ValueError(
                f"the DINO in {self.paths['dino']} is {dino.dim} wide, the preset wants "
                f"{self.preset.dino.hidden}; change model.dino.hidden or the weights"
            )
        return dino

    def vae(self) -> TinyVAE | WanVAE:
        if self.fresh("vae"):
            with seeded(self.seed):
                return build_vae(self.preset)
        path = str(self.paths["vae"])
        if isinstance(self.preset.vae, TinyVAEConfig):
            return load_tiny_vae(path, self.preset.vae, dtype=torch.float32, guide_seed=self.seed)
        return load_wan_vae(path, self.preset.vae, dtype=torch.float32)

    def text(self) -> PromptEncoder:
        """The text encoder; for a large preset without weights, random embeddings."""
        if self.fresh("text"):
            return seeded_text(self.preset.text, self.seed)
        return load_text(str(self.paths["text"]), self.preset.text, dtype=torch.float32)


def start_of(config: TrainConfig, folder: Path) -> Start:
    """Another renderer, to be loaded as the run loads its own; `ValueError` if there is none."""
    from c2r.weights.renderer import read_renderer

    preset, _ = read_renderer(folder)
    return Start(replace(config, model=preset, start=StartConfig(folder=folder)))


def weights_hash(network: nn.Module | PromptEncoder | TextEncoder) -> str:
    """SHA-256 over names and float32 values of a network's weights, wherever they came from.

    `ValueError` for a stand-in text encoder, which has none.
    """
    module = network.model if isinstance(network, TextEncoder) else network
    if not isinstance(module, nn.Module):
        raise ValueError(f"a {type(network).__name__} has no weights; load a text encoder")
    return _hash(module.state_dict())


def encoder_hash(vae: TinyVAE | WanVAE) -> str:
    """As `weights_hash`, of the encoder alone: with another decoder, caches stay good."""
    own = {
        name: tensor
        for name, tensor in vae.state_dict().items()
        if not any(part.startswith(("decoder", "guide", "post_quant")) for part in name.split("."))
    }
    return _hash(own)


def _hash(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().float().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
