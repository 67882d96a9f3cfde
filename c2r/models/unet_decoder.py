"""A decoder that is a U-Net over the engine's coarse frame, with the latents at its bottleneck.

The other way to guide a decoder (`c2r.models.guide` adds to one that exists): edges come from the
coarse frame, light and matter from the latents. What a small VAE's decoder makes has the blocks of
its latents in it; this one starts from the coarse frame and has none to remove.

Two things come of the finest level: how the coarse frame's colours change (a matrix and an offset a
place, interpolated between places, as the bilateral grids of HDRNet are: Gharbi et al., 2017), and
what is added to them. Edges are then the coarse frame's own, at any light; and nothing is made by a
pixel-shuffle without a filter behind it, which would show as a grid.

B batch, T latent frames, C latent channels, c channels, H W rows and columns at any level. Time is
folded into the batch: [B*4T, c, H, W]. Levels count from the finest.
"""

from __future__ import annotations

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.configs import FRAMES_PER_LATENT, GuideConfig
from c2r.models.convolutions import conv3, laid_out
from c2r.models.guide import Ascent, CoarseEncoder, Past, no_memory, resized, smoothed

TONE = 12
GREY = 0.5
"""Where there is no coarse frame, the decoder adds to this."""


class UNetDecoder(nn.Module):
    """Latents and coarse frames to frames of the coarse frames' size.

    Keeps nothing between calls. Without coarse frames, strength 0, it decodes the latents alone, as
    well as training without them taught it to.
    """

    def __init__(self, config: GuideConfig, channels: int) -> None:
        super().__init__()
        self.config = config
        widths = config.widths
        self.encoder = CoarseEncoder(config)
        self.enter = conv3(channels, FRAMES_PER_LATENT * widths[-1])
        self.ascent = Ascent(widths)
        self.fine = min(config.unshuffle, 2)
        self.out = conv3(widths[0], TONE + 3 * self.fine**2)
        nn.init.zeros_(self.out.weight)
        assert self.out.bias is not None
        nn.init.zeros_(self.out.bias)

    def no_past(self, latents: Tensor) -> Past:
        """The memory at the start of a stream, for latents [B, T, C, h, w]: zeros."""
        widths = self.config.widths
        encoder = no_memory(widths, range(1, len(widths)), latents)
        return (*encoder, *no_memory(widths, reversed(range(len(widths))), latents))

    def forward(
        self, latents: Tensor, coarse: Tensor | None, strength: Tensor, past: Past
    ) -> tuple[Tensor, Past]:
        """Latents [B, T, C, h, w], coarse [B, 4T, 3, scale*8h, scale*8w] or None, strength [B].

        Gives frames [B*4T, 3, scale*8h, scale*8w], not limited to [0, 1], and the new memory. A
        fresh network gives the coarse frames, mixed with grey by strength.
        """
        base, own = self._base(latents, coarse, strength), len(self.encoder.blocks)
        levels, seen = self.encoder(base, past[:own])
        entered = self.enter(laid_out(latents.flatten(0, 1)))
        steps = rearrange(entered, "n (s c) h w -> (n s) c h w", s=FRAMES_PER_LATENT)
        x, recent = self.ascent(laid_out(steps), levels, past[own:])
        tone, added = self.out(x).split((TONE, 3 * self.fine**2), dim=1)
        return self._toned(base, tone) + self._added(added), (*seen, *recent)

    def _toned(self, base: Tensor, tone: Tensor) -> Tensor:
        """Colours [N, 3, H, W] changed by `tone` [N, 12, H/u, W/u]: a matrix and an offset."""
        matrix, offset = resized(tone, self.config.unshuffle).split((9, 3), dim=1)
        changed = (matrix.unflatten(1, (3, 3)) * base[:, None]).sum(2)
        return base + changed + offset

    def _added(self, x: Tensor) -> Tensor:
        """[N, 3 f^2, H/u, W/u], f the smaller of u and 2, at the frame's size [N, 3, H, W]."""
        if self.fine > 1:
            x = smoothed(F.pixel_shuffle(x, self.fine))
        return resized(x, self.config.unshuffle // self.fine)

    def _base(self, latents: Tensor, coarse: Tensor | None, strength: Tensor) -> Tensor:
        if coarse is None:
            batch, count, _, rows, columns = latents.shape
            side = 8 * self.config.scale
            shape = batch * count * FRAMES_PER_LATENT, 3, side * rows, side * columns
            return latents.new_full(shape, GREY)
        share = strength.clamp(0, 1)[:, None, None, None, None]
        grey = torch.full((), GREY, dtype=coarse.dtype, device=coarse.device)
        return torch.lerp(grey, coarse, share).flatten(0, 1)
