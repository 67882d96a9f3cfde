"""Context parallelism (Ulysses, arXiv 2309.14509): several processes share one clip's tokens.

Each process holds N / P of every latent's tokens, so that masks and timesteps by latent work as
they are. All layers but self-attention work on one token at a time. Around self-attention an
all-to-all turns "own tokens, all heads" into "all tokens, own heads", and back: attention is
independent across heads, so each process computes its heads exactly, without partial softmaxes.

All processes of the group must make the same calls in the same order; so they get the same clip,
the same noise and the same dropout of conditions (`World.data_rank`).

Shapes: B batch, T latents, H W rows and columns of tokens, N = H x W, P processes, n = N / P,
h heads, d head width.
"""

from __future__ import annotations

import torch
import torch.distributed as dist
from einops import rearrange
from torch import Tensor

from c2r.models.configs import DiTConfig
from c2r.models.rope import rope_table


def _exchanged(x: Tensor, group: dist.ProcessGroup) -> Tensor:
    """Entry p of the first axis sent to process p, in the order of processes."""
    sent = x.contiguous()
    received = torch.empty_like(sent)
    dist.all_to_all_single(received, sent, group=group)
    return received


class _AllToAll(torch.autograd.Function):
    """Entry p of the first axis goes to process p. The exchange is its own transpose, so gradients
    take the same way; without this, autograd would end at the collective, silently.
    """

    @staticmethod
    def forward(ctx, x: Tensor, group: dist.ProcessGroup) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.group = group
        return _exchanged(x, group)

    @staticmethod
    def backward(ctx, *grads: Tensor) -> tuple[Tensor, None]:  # type: ignore[no-untyped-def]
        return _exchanged(grads[0], ctx.group), None


def check_context(dit: DiTConfig, tokens: int, processes: int) -> None:
    """`ValueError` unless heads and tokens of a latent divide by the processes."""
    for name, count in (("heads", dit.heads), ("tokens per latent", tokens)):
        if count % processes:
            raise ValueError(
                f"parallel.context {processes} does not divide the {count} {name}; choose a number "
                f"that divides {dit.heads} and {tokens}"
            )


class TokenShare:
    """Part `rank` of `size` of every latent's tokens; see `c2r.models.forward_pass.TokenShare`.

    A process's part of a latent is an image one token high: its DiT sees a grid of 1 x n. Rotary
    positions are those of the whole grid all the same (`rope`).
    """

    def __init__(
        self, grid: tuple[int, int], patch: int, group: dist.ProcessGroup, rank: int, size: int
    ) -> None:
        self.grid, self.patch, self.group, self.rank, self.size = grid, patch, group, rank, size
        count = grid[0] * grid[1] // size
        self.own = slice(rank * count, (rank + 1) * count)
        self.own_grid = (1, count)

    def rope(self, positions: Tensor, head_dim: int) -> tuple[Tensor, Tensor]:
        """Angles of the own tokens, each `[T n, d/2]`."""
        tables = rope_table(positions, self.grid, head_dim)
        cos, sin = (
            part.unflatten(0, (len(positions), -1))[:, self.own].flatten(0, 1) for part in tables
        )
        return cos, sin

    def gather(self, x: Tensor, latents: int) -> Tensor:
        """`[B, T n, h, d]` -> `[B, T N, h/P, d]`."""
        parts = rearrange(x, "b (t n) (p h) d -> p b t n h d", t=latents, p=self.size)
        whole = _AllToAll.apply(parts, self.group)
        return rearrange(whole, "p b t n h d -> b (t p n) h d")

    def scatter(self, x: Tensor, latents: int) -> Tensor:
        """`[B, T N, h/P, d]` -> `[B, T n, h, d]`."""
        parts = rearrange(x, "b (t p n) h d -> p b t n h d", t=latents, p=self.size)
        own = _AllToAll.apply(parts, self.group)
        return rearrange(own, "p b t n h d -> b (t n) (p h) d")

    def cut_tokens(self, x: Tensor) -> Tensor:
        """Features `[B, F, N, D]` -> the own `[B, F, n, D]`."""
        return x[:, :, self.own]

    def cut(self, x: Tensor) -> Tensor:
        """Latents `[B, T, C, H p, W p]` -> the own tokens as images `[B, T, C, p, n p]`."""
        p = self.patch
        tokens = rearrange(x, "b t c (h p) (w q) -> b t (h w) c p q", p=p, q=p)[:, :, self.own]
        return rearrange(tokens, "b t n c p q -> b t c p (n q)")

    def join(self, x: Tensor) -> Tensor:
        """The reverse of `cut`, the same on every process of the group; without gradients."""
        own = x.contiguous()
        parts = [torch.empty_like(own) for _ in range(self.size)]
        dist.all_gather(parts, own, group=self.group)
        p, (rows, _) = self.patch, self.grid
        tokens = [rearrange(part, "b t c p (n q) -> b t n c p q", q=p) for part in parts]
        whole = torch.cat(tokens, dim=2)
        return rearrange(whole, "b t (h w) c p q -> b t c (h p) (w q)", h=rows)
