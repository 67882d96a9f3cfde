"""What every kind of control network has in common: the tokens it makes and the hints for the DiT.

The DiT calls `ControlNetwork.inject` once per pass and does not know which kind answers.
`c2r.models.control_registry` lists the kinds.

Shapes: B batch, F pixel frames, T latents, N tokens of one latent, L = T x N, Dd DINO width,
D DiT width.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Self

import torch
from torch import Tensor, nn

from c2r.models.configs import ControlConfig, DiTConfig, Preset
from c2r.models.costs import ControlCost
from c2r.models.forward_pass import ForwardPass

if TYPE_CHECKING:
    from c2r.models.dit import DiT

Hint = Callable[[int], Tensor | None]
"""Block index -> what to add to the tokens before that block, or None."""

PrecomputeHints = Callable[[Tensor, ForwardPass], Mapping[int, Tensor]]
"""(control tokens, pass) -> hints by block, before strength."""


@dataclass(frozen=True)
class ControlState:
    """What a stream carries between chunks: for each temporal stage the inputs it still needs."""

    pending: tuple[Tensor, ...]


class ControlNetwork(nn.Module, ABC):
    """A trained network that steers the DiT. A subclass is one kind of control.

    `kind`: its key in the registry.
    `float32_on_cpu`: stays float32 where a CPU serves the others in bfloat16.
    `width_only`: its weights fit every DiT of the same width, whatever its depth.
    """

    kind: ClassVar[str]
    float32_on_cpu: ClassVar[bool] = False
    width_only: ClassVar[bool] = False

    blocks: nn.ModuleList
    """Own transformer blocks; their layers follow the DiT's in the K/V cache and in text K/V."""

    @classmethod
    @abstractmethod
    def of(cls, preset: Preset) -> Self:
        """The network for a preset, with the initialisation that training starts from."""

    @classmethod
    def is_precomputed(cls, config: ControlConfig) -> bool:
        """Whether hints are made once per chunk: they depend neither on x_t nor on t."""
        return False

    @classmethod
    def cost(
        cls, config: ControlConfig, dit: DiTConfig, tokens: int, window_tokens: int
    ) -> ControlCost:
        """What `inject` adds to a pass over `tokens`; nothing worth counting by default."""
        return ControlCost()

    def start_from(self, dit: DiT) -> None:
        """Take from the DiT what training starts from; called for a network without weights."""

    @property
    def precompute_hints(self) -> PrecomputeHints | None:
        """Makes the hints of a chunk, when `is_precomputed`; else None."""
        return None

    @abstractmethod
    def tokens(
        self, features: Tensor, state: ControlState | None = None
    ) -> tuple[Tensor, ControlState]:
        """DINO features `[B, F, N, Dd]` -> control tokens `[B, T, N, D]` and the carried state.

        Frames may come in any portions: T counts the latents that became whole.
        """

    @abstractmethod
    def inject(self, x: Tensor, control: ControlInput, call: ForwardPass) -> tuple[Tensor, Hint]:
        """Tokens `[B, L, D]` as the first block shall see them, and the hints for all blocks."""


@dataclass(frozen=True)
class ControlInput:
    """Control of one pass: the network, its tokens and how much of it.

    `tokens`: `[B, T, N, D]`. `grid`: (H, W) tokens of one latent. `strength`: `[B]` or `[1]`, at
    least 0; 0 is exactly no control. `hints`: made once per chunk by `DiT.prepare_control`;
    `cached`: making them wrote their keys and values (not so with gradients on).
    """

    module: ControlNetwork
    tokens: Tensor
    grid: tuple[int, int]
    strength: Tensor
    hints: Mapping[int, Tensor] | None = None
    cached: bool = True

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
