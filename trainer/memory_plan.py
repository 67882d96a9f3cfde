"""What one GPU of a run must hold, by counting parameters and tokens.

State is exact; activations are an estimate of what the blocks keep for the backward pass, in bytes
per token, from the operations of `c2r.models.dit.Block` (float32 where it computes in float32).
Memory is in bytes; 1 GB is 1e9.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields

import torch
from torch import nn

from c2r.models.configs import DiTConfig
from c2r.models.dino import build_dino
from trainer.dist.parallel import Layout
from trainer.networks.denoiser import Denoiser
from trainer.settings import TrainConfig

MASTER = GRADIENT = EMA = 4
ADAM = 8
BLOCKS_AT_ONCE = 2
"""FSDP holds two blocks whole: the one that computes and the next, prefetched."""
RESIDUAL_BYTES = 2
BLOCK_DIM_BYTES, BLOCK_FFN_BYTES = 60, 6
"""Kept in a block per token: per number of the width, and per number of the feed-forward's."""
RESERVE = 0.08
"""Share of a GPU that goes to the context, communication buffers and fragments."""


def count(parameters: Iterable[nn.Parameter]) -> int:
    """Numbers in parameters."""
    return sum(parameter.numel() for parameter in parameters)


def stored(parameters: Iterable[nn.Parameter]) -> int:
    """Bytes of parameters as they are kept."""
    return sum(parameter.numel() * parameter.element_size() for parameter in parameters)


@dataclass(frozen=True)
class Memory:
    """One GPU's share, in bytes."""

    masters: float
    gradients: float
    adam: float
    ema: float
    frozen: float
    encoders: float
    gathered: float
    activations: float

    @property
    def total(self) -> float:
        return sum(getattr(self, item.name) for item in fields(self))


@dataclass(frozen=True)
class Plan:
    """A configuration, counted. `state_bytes`: master weights, gradients and Adam of all GPUs."""

    trained: int
    frozen: int
    tokens_clip: int
    tokens_step: int
    layout: Layout
    memory: Memory

    @property
    def state_bytes(self) -> float:
        """What training the parameters takes, sharded over however many."""
        return self.trained * (MASTER + GRADIENT + ADAM)


def block_bytes(dit: DiTConfig, tokens: int) -> float:
    """What one block keeps of `tokens` tokens."""
    return tokens * (BLOCK_DIM_BYTES * dit.dim + BLOCK_FFN_BYTES * dit.ffn_dim)


def activation_bytes(config: TrainConfig, layout: Layout, blocks: int) -> float:
    """Of a micro-batch: every block's, or with recompute one block's and every block's input."""
    dit = config.model.dit
    clip = config.latents * config.model.tokens_per_latent
    tokens = config.micro_batch * clip // layout.context
    if not config.parallel.recompute:
        return blocks * block_bytes(dit, tokens)
    return blocks * tokens * dit.dim * RESIDUAL_BYTES + block_bytes(dit, tokens)


def encoder_bytes(config: TrainConfig, control: bool) -> float:
    """Frozen networks in bf16 that every GPU keeps whole: the VAE, DINO, and without a cache text.

    The text encoder's size follows from its shape (UMT5: gated feed-forward, a bias a layer).
    """
    from c2r.models.build import build_vae

    size = 2 if config.precision == "bf16" else 4
    with torch.device("meta"):
        total = count(build_vae(config.model).parameters())
        if control:
            total += count(build_dino(config.model.dino, config.model.grid).parameters())
    text = config.model.text
    if config.data.cache is None:
        attention = 4 * text.dim * text.heads * text.head_dim
        total += text.vocab * text.dim + text.layers * (attention + 3 * text.dim * text.ffn)
    return float(size * total)


def count_memory(config: TrainConfig, denoiser: Denoiser, layout: Layout, *, control: bool) -> Plan:
    """Count a denoiser on meta, trained by `config` on `layout.size` GPUs."""
    everything = list(denoiser.parameters())
    own = [p for p in everything if p.requires_grad]
    frozen = [p for p in everything if not p.requires_grad]
    trained, shards = count(own), layout.shard * layout.context
    inside = {id(p) for block in denoiser.blocks for p in block.parameters()}
    root = stored(p for p in everything if id(p) not in inside)
    largest = max(stored(block.parameters()) for block in denoiser.blocks)
    gathered = root + BLOCKS_AT_ONCE * largest if shards > 1 else 0
    clip = config.latents * config.model.tokens_per_latent
    memory = Memory(
        masters=MASTER * trained / shards,
        gradients=GRADIENT * trained / shards,
        adam=ADAM * trained / shards,
        ema=EMA * trained / shards if config.optim.ema else 0.0,
        frozen=stored(frozen) / shards,
        encoders=encoder_bytes(config, control),
        gathered=float(gathered),
        activations=activation_bytes(config, layout, len(denoiser.blocks)),
    )
    return Plan(trained, count(frozen), clip, clip * config.batch, layout, memory)
