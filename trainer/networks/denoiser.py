"""A DiT and its control network as one module: what a phase trains and FSDP shards.

All that touches weights happens inside `forward` or `sample`, so that sharded weights are whole
there. Knows no losses and no data.

Shapes: B batch, T latents, F pixel frames, N tokens of one latent, S text tokens, D width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from c2r.models.attention import LatentMask
from c2r.models.control import ControlInput, ControlNetwork, strength_tensor
from c2r.models.dit import DiT
from c2r.streaming.sampler import Sampler, SamplerConfig
from trainer.dist.context_parallel import TokenShare


class Denoiser(nn.Module):
    """Velocity of a noisy clip. `share`: context parallelism; inputs are whole all the same, and
    the velocity is that of the own tokens (`own` cuts a target alike). `entries`: the methods
    beside `forward` that touch weights.
    """

    entries: ClassVar[tuple[str, ...]] = ("sample",)

    def __init__(
        self,
        dit: DiT,
        control: ControlNetwork | None = None,
        share: TokenShare | None = None,
    ) -> None:
        super().__init__()
        self.dit, self.control, self.share = dit, control, share
        dit.share = share

    @property
    def blocks(self) -> list[nn.Module]:
        """All transformer blocks: the DiT's, then the control network's own."""
        return [*self.dit.blocks, *(() if self.control is None else self.control.blocks)]

    def own(self, latents: Tensor) -> Tensor:
        """This process's part of latents `[B, T, C, h, w]`."""
        return latents if self.share is None else self.share.cut(latents)

    def forward(
        self,
        x: Tensor,
        timestep: Tensor,
        text: Tensor,
        *,
        features: Tensor | None = None,
        strength: Tensor | None = None,
        mask: LatentMask | None = None,
    ) -> Tensor:
        """Velocity of `x` `[B, T, C, h, w]` (its own part) at `timestep` `[B]` or `[B, T]`.

        `text`: embeddings `[B, S, text_dim]`. `features`: DINO's `[B, F, N, Dd]`, with `strength`
        `[B]`; None: no control.
        """
        control = None if features is None else self._control(x, features, strength)
        own = self.own(x)
        return self.dit(own, timestep, self.dit.embedded(text), control=control, mask=mask)

    @torch.no_grad()
    def sample(
        self,
        noise: Tensor,
        text: Tensor,
        negative: Tensor,
        config: SamplerConfig,
        *,
        features: Tensor | None = None,
    ) -> Tensor:
        """Clean latents `[B, T, C, h, w]` by the offline sampler, whole on every process."""
        control = None if features is None else self._control(noise, features, None)
        sampler = Sampler(self.dit, self.dit.embedded(text), self.dit.embedded(negative), control)
        clean = sampler.run(self.own(noise), config)
        return clean if self.share is None else self.share.join(clean)

    def _control(self, x: Tensor, features: Tensor, strength: Tensor | None) -> ControlInput:
        assert self.control is not None, "features are for a renderer with control"
        patch = self.dit.config.patch
        grid = x.shape[-2] // patch, x.shape[-1] // patch
        if self.share is not None:
            features, grid = self.share.cut_tokens(features), self.share.own_grid
        tokens, _ = self.control.tokens(features)
        if strength is None:
            strength = strength_tensor(1.0, x.device)
        return ControlInput(self.control, tokens, grid, strength)
