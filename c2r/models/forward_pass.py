"""What the blocks of one forward pass share, whoever owns the blocks: the DiT or its control.

Shapes: B batch, S text tokens, h heads, d head width, D width, M timesteps a sample (1 or T).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from c2r.kernels.attention import Attention
from c2r.kernels.fused_ops import REFERENCE, FusedOps
from c2r.models.attention import LatentMask

TextKV = Sequence[tuple[Tensor, Tensor]]
"""Keys and values `[B, S, h, d]` of the prompt, a pair a layer: made once a prompt."""


@dataclass(frozen=True)
class EmbeddedText:
    """The prompt before keys and values: each layer makes its own when its block runs.

    For training, which uses a prompt once: inside its block a layer's weights are whole, and
    recomputed with it, and compiled blocks are all one graph.
    """

    context: Tensor  # [B, S, D]


Text = TextKV | EmbeddedText


def stacked(text: TextKV) -> Tensor:
    """All layers as one tensor `[layers, 2, B, S, h, d]`, which can be indexed like the pairs."""
    return torch.stack([torch.stack(pair) for pair in text])


class LayerCache(Protocol):
    """What the DiT needs of a K/V cache; `c2r.streaming.kv_cache.KVCache` is one."""

    @property
    def length(self) -> int:
        """Latents held before the current ones, and so the place in time of the first of these."""

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Put rotated keys and values of the current latents behind the held ones; give all."""

    def snapshot(self) -> LayerCache:
        """What is held now, safe from later chunks: recomputed blocks must see the same."""


class TokenShare(Protocol):
    """This process's tokens of every latent, when the tokens of a clip are spread over several.

    The trainer's context parallelism is one; serving has none.
    """

    def rope(self, positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
        """Angles of the own tokens, as `c2r.models.rope.rope_table` gives them for all."""

    def gather(self, x: Tensor, latents: int) -> Tensor:
        """Own tokens with all heads -> all tokens, latent by latent, with the own heads."""

    def scatter(self, x: Tensor, latents: int) -> Tensor:
        """The reverse of `gather`."""


@dataclass(frozen=True)
class Pass:
    """What all blocks of one forward pass share."""

    modulation: Tensor  # [B, M, 6, D] float32
    rope: tuple[Tensor, Tensor]
    text: Text
    attend: Attention
    latents: int
    mask: LatentMask | None = None
    cache: LayerCache | None = None
    recompute: bool = False
    share: TokenShare | None = None
    fused_ops: FusedOps = REFERENCE

    def run(self, block: nn.Module, x: Tensor, layer: int) -> Tensor:
        """One block; with `recompute` its activations are made again in the backward pass."""
        if self.recompute:
            return checkpoint(block, x, layer, self, use_reentrant=False)
        return block(x, layer, self)
