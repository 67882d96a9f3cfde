"""ControlNet-Transformer: clones of some DiT blocks read the control and hint the originals.

The alternative to the adapter. Which blocks are cloned is a setting (`first_third`, `first:N`,
`strided:k`); each clone's output passes a zero-initialised projection and is added to the output
of the block it was cloned from. With `every_pass` off the clones see only the control, at
timestep 0, once per chunk. Inside a cached stream their layers follow the DiT's in the cache.

Shapes: B batch, F pixel frames, T latents, N tokens of one latent, L = T x N, D DiT width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Self

from torch import Tensor, nn

from c2r.models.adapter import PatchAdapter
from c2r.models.configs import ControlConfig, DiTConfig, Preset
from c2r.models.control import (
    ControlInput,
    ControlNetwork,
    ControlState,
    Hint,
    PrecomputeHints,
    injected_blocks,
)
from c2r.models.costs import ControlCost, PassCost, blocks_cost
from c2r.models.dit import Block, DiT
from c2r.models.forward_pass import ForwardPass


class ControlNet(ControlNetwork):
    """Cloned blocks and their projections."""

    kind = "controlnet"

    def __init__(self, config: ControlConfig, dino_dim: int, dit: DiTConfig) -> None:
        super().__init__()
        self.sources = injected_blocks(config.inject, dit.layers)
        self.every_pass = config.every_pass
        self.first_layer = dit.layers
        self.dino_patch_adapter = PatchAdapter(dino_dim, config.hidden, dit.dim)
        self.blocks = nn.ModuleList(Block(dit) for _ in self.sources)
        self.projections = nn.ModuleList(nn.Linear(dit.dim, dit.dim) for _ in self.sources)
        # Zero-init: an untrained ControlNet adds nothing to the blocks that it was cloned from.
        for projection in self.projections:
            assert isinstance(projection, nn.Linear)
            nn.init.zeros_(projection.weight)
            nn.init.zeros_(projection.bias)

    @classmethod
    def of(cls, preset: Preset) -> Self:
        return cls(preset.control, preset.dino.hidden, preset.dit)

    @classmethod
    def is_precomputed(cls, config: ControlConfig) -> bool:
        return not config.every_pass

    @classmethod
    def cost(
        cls, config: ControlConfig, dit: DiTConfig, tokens: int, window_tokens: int
    ) -> ControlCost:
        clones = len(injected_blocks(config.inject, dit.layers))
        blocks = blocks_cost(dit, clones, tokens, window_tokens)
        total = PassCost(blocks.linear + 2.0 * tokens * clones * dit.dim**2, blocks.attention)
        if config.every_pass:
            return ControlCost(clones, per_pass=total)
        return ControlCost(clones, per_chunk=total)

    @staticmethod
    def keeps_float32(name: str) -> bool:
        """Whether the parameter of that name stays float32 in a half-precision model."""
        return name.endswith("modulation")

    def start_from(self, dit: DiT) -> None:
        """Clone: copy the weights of the blocks that the clones stand for."""
        for block, source in zip(self.blocks, self.sources, strict=True):
            block.load_state_dict(dit.blocks[source].state_dict())

    @property
    def precompute_hints(self) -> PrecomputeHints | None:
        return None if self.every_pass else partial(self.hints, None)

    def tokens(
        self, features: Tensor, state: ControlState | None = None
    ) -> tuple[Tensor, ControlState]:
        return self.dino_patch_adapter(features, state)

    def hints(self, x: Tensor | None, tokens: Tensor, call: ForwardPass) -> Mapping[int, Tensor]:
        """Run the clones over the control (and the DiT's tokens `x` `[B, L, D]`, unless None)."""
        y = tokens.flatten(1, 2)
        if x is not None:
            y = x + y.to(x.dtype)
        hints = {}
        for place, (block, project) in enumerate(zip(self.blocks, self.projections, strict=True)):
            y = call.run(block, y, self.first_layer + place)
            hints[self.sources[place] + 1] = project(y)
        return hints

    def inject(self, x: Tensor, control: ControlInput, call: ForwardPass) -> tuple[Tensor, Hint]:
        hints = control.hints
        if hints is None:
            assert self.every_pass, "DiT.prepare_control makes hints that are once per chunk"
            hints = self.hints(x, control.tokens, call)
        strength = control.scale()

        def hint(block: int) -> Tensor | None:
            return (strength * hints[block]).to(x.dtype) if block in hints else None

        return x, hint
