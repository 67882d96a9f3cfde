"""ControlNet-Transformer: clones of some DiT blocks read the control and hint the originals.

The alternative to the adapter. Which blocks are cloned is a setting (`first_third`, `first:N`,
`strided:k`); each clone's output passes a zero-initialised projection and is added to the output
of the block it was cloned from. With `every_pass` off the clones see only the control, at
timestep 0, once a chunk. Inside a cached stream their layers follow the DiT's in the cache.

Shapes: B batch, F pixel frames, T latents, N tokens of one latent, L = T x N, D DiT width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from torch import Tensor, nn

from c2r.models.adapter import PatchAdapter
from c2r.models.configs import ControlConfig, DiTConfig
from c2r.models.control import ControlInput, ControlState, Hint, HintsAhead, injected_blocks
from c2r.models.dit import Block, DiT
from c2r.models.forward_pass import Pass


class ControlNet(nn.Module):
    """Cloned blocks; see `c2r.models.control.ControlModule` for its interface."""

    def __init__(self, config: ControlConfig, dino_dim: int, dit: DiTConfig) -> None:
        super().__init__()
        self.sources = injected_blocks(config.inject, dit.layers)
        self.every_pass = config.every_pass
        self.first_layer = dit.layers
        self.dino_patch_adapter = PatchAdapter(dino_dim, config.hidden, dit.dim)
        self.blocks = nn.ModuleList(Block(dit) for _ in self.sources)
        self.projections = nn.ModuleList(nn.Linear(dit.dim, dit.dim) for _ in self.sources)
        for projection in self.projections:
            assert isinstance(projection, nn.Linear)
            nn.init.zeros_(projection.weight)
            nn.init.zeros_(projection.bias)

    @property
    def ahead(self) -> HintsAhead | None:
        """With `every_pass` off: the clones over the control alone."""
        return None if self.every_pass else partial(self.hints, None)

    @staticmethod
    def keeps_float32(name: str) -> bool:
        """Whether the parameter of that name stays float32 in a half-precision model."""
        return name.endswith("modulation")

    def clone_from(self, dit: DiT) -> None:
        """Take the weights of the blocks that the clones stand for."""
        for block, source in zip(self.blocks, self.sources, strict=True):
            block.load_state_dict(dit.blocks[source].state_dict())

    def tokens(
        self, features: Tensor, state: ControlState | None = None
    ) -> tuple[Tensor, ControlState]:
        """DINO features `[B, F, N, Dd]` -> control tokens `[B, T, N, D]` and the carried state."""
        return self.dino_patch_adapter(features, state)

    def hints(self, x: Tensor | None, tokens: Tensor, call: Pass) -> Mapping[int, Tensor]:
        """Run the clones over the control (and the DiT's tokens `x` `[B, L, D]`, unless None)."""
        y = tokens.flatten(1, 2)
        if x is not None:
            y = x + y.to(x.dtype)
        made = {}
        for place, (block, project) in enumerate(zip(self.blocks, self.projections, strict=True)):
            y = call.run(block, y, self.first_layer + place)
            made[self.sources[place] + 1] = project(y)
        return made

    def enter(self, x: Tensor, control: ControlInput, call: Pass) -> tuple[Tensor, Hint]:
        """`x` unchanged, and the hints of this pass or of the chunk."""
        ready = control.ready
        if ready is None:
            assert self.every_pass, "DiT.prepare_control makes the hints of once a chunk"
            ready = self.hints(x, control.tokens, call)
        strength = control.scale()

        def hint(block: int) -> Tensor | None:
            return (strength * ready[block]).to(x.dtype) if block in ready else None

        return x, hint
