"""What every kind of control has in common: the tokens it makes and the hints it gives the DiT.

The DiT asks `ControlModule.enter` once a pass; it does not know which kind of control answers.

Shapes: B batch, F pixel frames, T latents, N tokens of one latent, Dd DINO width, D DiT width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from c2r.models.forward_pass import Pass

Hint = Callable[[int], Tensor | None]
"""Block index -> what to add to the tokens before that block, or None."""


HintsAhead = Callable[[Tensor, Pass], Mapping[int, Tensor]]
"""(control tokens, pass) -> hints by block, before strength."""


@dataclass(frozen=True)
class ControlState:
    """What a stream carries between chunks: for each temporal stage the inputs it still needs."""

    pending: tuple[Tensor, ...]


class ControlModule(Protocol):
    """A trained control network: `ControlAdapter` or `ControlNet`."""

    @property
    def blocks(self) -> nn.ModuleList:
        """Own transformer blocks; their layers follow the DiT's in caches and text K/V."""

    @property
    def ahead(self) -> HintsAhead | None:
        """Makes the hints once a chunk, when they do not depend on x_t and t; else None."""

    def tokens(
        self, features: Tensor, state: ControlState | None = None
    ) -> tuple[Tensor, ControlState]:
        """DINO features `[B, F, N, Dd]` -> control tokens `[B, T, N, D]` of the whole latents."""

    def enter(self, x: Tensor, control: ControlInput, call: Pass) -> tuple[Tensor, Hint]:
        """Tokens `[B, L, D]` as the first block shall see them, and the hints for all blocks."""


@dataclass(frozen=True)
class ControlInput:
    """Control of one pass: the network, its tokens and how much of it.

    `tokens`: `[B, T, N, D]`. `grid`: (H, W) tokens of one latent. `strength`: `[B]` or `[1]`, at
    least 0; 0 is exactly no control. `ready`: hints made ahead by `DiT.prepare_control`;
    `written`: their keys and values are in the cache (not so when they were made with gradients).
    """

    module: ControlModule
    tokens: Tensor
    grid: tuple[int, int]
    strength: Tensor
    ready: Mapping[int, Tensor] | None = None
    written: bool = True

    def scale(self) -> Tensor:
        """Strength as a factor of tokens `[B, L, D]`, in their dtype."""
        return self.strength.to(self.tokens.dtype)[:, None, None]


def strength_tensor(strength: float, device: torch.device | str) -> Tensor:
    """A strength from outside as `[1]` float32; `ValueError` when negative or not finite."""
    if not 0 <= strength < float("inf"):
        raise ValueError(
            f"control strength {strength} must be 0 (no control) or more; 1 is as trained"
        )
    return torch.full((1,), float(strength), device=device)


def injected_blocks(rule: str, layers: int) -> tuple[int, ...]:
    """Blocks named by `first_third`, `first:N` or `strided:k` (every k-th from block 0).

    `first_third` is the published rule, floor(0.333 layers): 13 of 40, 9 of 30.
    """
    kind, _, number = rule.partition(":")
    if rule == "first_third":
        return tuple(range(max(1, int(0.333 * layers))))
    if kind in ("first", "strided") and number.isdigit() and int(number) > 0:
        count = int(number)
        if kind == "first" and count <= layers:
            return tuple(range(count))
        if kind == "strided" and count <= layers:
            return tuple(range(0, layers, count))
    raise ValueError(
        f"control inject {rule!r} does not fit {layers} blocks; use 'first_third', "
        f"'first:N' or 'strided:k' with a number from 1 to {layers}"
    )
