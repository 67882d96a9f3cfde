"""What all blocks of one forward pass share: those of the DiT and those of its control network.

Shapes: B batch, S text tokens, h heads, d head width, D width, M timesteps per sample (1 or T).
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
"""Keys and values `[B, S, h, d]` of the prompt, one pair per layer, computed once per prompt."""


@dataclass(frozen=True)
class EmbeddedText:
    """The prompt before keys and values: each layer computes its own when its block runs.

    For training, which uses a prompt once. Under FSDP a layer's weights are gathered only while its
    block runs, so nothing outside the block may use them; inside it they are also recomputed with
    the block, and all compiled blocks share one graph.
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
        """Latents held before the current ones, and so the position of the first of these."""

    def append(self, layer: int, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Put rotated keys and values of the current latents behind the held ones; return all."""

    def snapshot(self) -> LayerCache:
        """What is held now, unchanged by later chunks: recomputed blocks must see the same."""


class TokenShare(Protocol):
    """This process's tokens, when the tokens of every latent are sharded over processes.

    Context parallelism after Ulysses (arXiv:2309.14509): a process holds a share of each latent's
    tokens, with all heads. Everything but self-attention works per token and needs no other share.
    For attention `gather` exchanges (share of tokens, all heads) for (all tokens, share of heads)
    and `scatter` goes back. Tokens are sharded within each latent, not clip by clip: so per-latent
    timesteps and latent masks mean the same on every process.
    """

    def rope(self, positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
        """Angles of this process's tokens, as `c2r.models.rope.rope_table` gives them for all."""

    def gather(self, x: Tensor, latents: int) -> Tensor:
        """Own tokens with all heads -> all tokens, latent by latent, with this process's heads."""

    def scatter(self, x: Tensor, latents: int) -> Tensor:
        """The reverse of `gather`."""


@dataclass(frozen=True)
class ForwardPass:
    """The arguments that every block of one forward pass takes."""

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
        """One block; with `recompute` its activations are recomputed in the backward pass."""
        if self.recompute:
            return checkpoint(block, x, layer, self, use_reentrant=False)
        return block(x, layer, self)
