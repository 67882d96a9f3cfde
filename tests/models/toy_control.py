"""A kind of control as somebody would add it: one file, here, and one row of the registry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from c2r.models.adapter import CausalPool
from c2r.models.configs import ControlConfig, DiTConfig, Preset
from c2r.models.control import ControlInput, ControlNetwork, ControlState, Hint
from c2r.models.control_registry import ControlKind
from c2r.models.costs import ControlCost, PassCost
from c2r.models.dit import DiT
from c2r.models.forward_pass import ForwardPass

ROW = ControlKind(
    network="tests.models.toy_control:ToyControl",
    title="toy control",
    layout="toy",
    signature=r"toy_",
    hub_files=("toy.safetensors",),
    settings="tests.models.toy_control:ToyConfig",
)


@dataclass(frozen=True)
class ToyConfig(ControlConfig):
    kind: str = "toy"
    block: int = 1


class ToyControl(ControlNetwork):
    """Pooled DINO tokens, projected, added before one block."""

    kind = "toy"

    def __init__(self, config: ToyConfig, dino_dim: int, dim: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList()
        self.block = config.block
        self.toy_pool = CausalPool(dino_dim)
        self.toy_projection = nn.Linear(dino_dim, dim)

    @classmethod
    def of(cls, preset: Preset) -> Self:
        assert isinstance(preset.control, ToyConfig)
        return cls(preset.control, preset.dino.hidden, preset.dit.dim)

    @classmethod
    def cost(
        cls, config: ControlConfig, dit: DiTConfig, tokens: int, window_tokens: int
    ) -> ControlCost:
        return ControlCost(per_pass=PassCost(linear=1e6))

    @torch.no_grad()
    def start_from(self, dit: DiT) -> None:
        self.toy_projection.bias.fill_(float(dit.patch_embedding.weight.mean()))

    def tokens(
        self, features: Tensor, state: ControlState | None = None
    ) -> tuple[Tensor, ControlState]:
        pooled, state = self.toy_pool(features, state)
        return self.toy_projection(pooled), state

    def inject(self, x: Tensor, control: ControlInput, call: ForwardPass) -> tuple[Tensor, Hint]:
        added = (control.scale() * control.tokens.flatten(1, 2)).to(x.dtype)
        return x, lambda block: added if block == self.block else None
