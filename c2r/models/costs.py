"""Operations of transformer passes, by formula: two per multiply-add, matrix products only."""

from __future__ import annotations

from dataclasses import dataclass, field

from c2r.models.configs import DiTConfig


@dataclass(frozen=True)
class PassCost:
    """Operations of one pass over a chunk: self-attention, and everything else."""

    linear: float = 0.0
    attention: float = 0.0

    @property
    def total(self) -> float:
        return self.linear + self.attention

    def __add__(self, other: PassCost) -> PassCost:
        return PassCost(self.linear + other.linear, self.attention + other.attention)


@dataclass(frozen=True)
class ControlCost:
    """What a control network adds: K/V layers of its own, work in every pass, or once per chunk."""

    layers: int = 0
    per_pass: PassCost = field(default_factory=PassCost)
    per_chunk: PassCost = field(default_factory=PassCost)


def pass_cost(dit: DiTConfig, tokens: int, window_tokens: int) -> PassCost:
    """One DiT pass over `tokens` that see `window_tokens`, themselves included; text K/V given."""
    blocks = blocks_cost(dit, dit.layers, tokens, window_tokens)
    ends = 2 * dit.channels * dit.patch**2 * dit.dim
    return PassCost(blocks.linear + 2.0 * tokens * ends, blocks.attention)


def blocks_cost(dit: DiTConfig, layers: int, tokens: int, window_tokens: int) -> PassCost:
    """`layers` transformer blocks over `tokens` that see `window_tokens`."""
    width = dit.dim
    self_linear, cross_linear = 4 * width * width, 2 * width * width
    feed_forward, cross = 2 * width * dit.ffn_dim, 2 * dit.text_len * width
    linear = layers * (self_linear + cross_linear + feed_forward + cross)
    attention = 2 * window_tokens * width * layers
    return PassCost(2.0 * tokens * linear, 2.0 * tokens * attention)
