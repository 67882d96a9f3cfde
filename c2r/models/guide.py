"""The guide of the tiny VAE's decoder: a U-Net over the engine's coarse frame.

Its encoder takes the coarse frame, at `scale` times the size of the VAE's frames, down to the size
of the latents. What it finds is added to the decoder's activations at every size; the head goes on
from there to the size of the coarse frame. All that reaches a frame passes a layer that starts at
zero, so a decoder with a fresh guide gives the frames of the decoder alone.

B batch, T latent frames, t time steps of a level, c channels, H W rows and columns at any level.
Time is folded into the batch: [B*t, c, H, W]. Levels count from the finest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.configs import FRAMES_PER_LATENT, GuideConfig, TinyVAEConfig
from c2r.models.convolutions import conv3, laid_out, last_step, step_before

Past = tuple[Tensor, ...]


class MemoryBlock(nn.Module):
    """Residual block that also sees, pixel by pixel, its input of the step before.

    Works in place: activations at the finest level are large, and fresh memory takes a CPU longer
    than the sums.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = conv3(width, width)
        self.recall = nn.Conv2d(width, width, 1, bias=False)
        self.second = conv3(width, width)

    def forward(self, x: Tensor, past: Tensor) -> tuple[Tensor, Tensor]:
        """x [B*t, c, H, W], past [B, c, H, W] -> output like x, the last step of x."""
        y = self.first(x).add_(self.recall(step_before(x, past))).relu_()
        return self.second(y).add_(x).relu_(), last_step(x, len(past))


class CoarseEncoder(nn.Module):
    """Coarse frames as features of every level, the finest first; memory at all but the finest."""

    def __init__(self, config: GuideConfig) -> None:
        super().__init__()
        self.unshuffle = config.unshuffle
        self.stem = conv3(3 * config.unshuffle**2, config.widths[0])
        self.down = nn.ModuleList(conv3(a, b, stride=2) for a, b in pairwise(config.widths))
        self.blocks = nn.ModuleList(MemoryBlock(width) for width in config.widths[1:])

    def forward(self, coarse: Tensor, past: Past) -> tuple[tuple[Tensor, ...], Past]:
        """coarse [B*4T, 3, scale*8h, scale*8w] -> levels[i] [B*4T, widths[i], H_i, W_i], memory."""
        x = self.stem(laid_out(F.pixel_unshuffle(coarse, self.unshuffle))).relu_()
        levels, recent = [x], []
        for down, block, before in zip(self.down, self.blocks, past, strict=True):
            x, last = block(down(x).relu_(), before)
            levels.append(x)
            recent.append(last)
        return tuple(levels), tuple(recent)


class Ascent(nn.Module):
    """From the coarsest of some levels up to the finest, the encoder's features added at each."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        rising = widths[::-1]
        self.up = nn.ModuleList(nn.Conv2d(a, 4 * b, 1) for a, b in pairwise(rising))
        self.blocks = nn.ModuleList(MemoryBlock(width) for width in rising)

    def forward(self, x: Tensor, levels: tuple[Tensor, ...], past: Past) -> tuple[Tensor, Past]:
        """x of the size of levels[-1] -> x of the size of levels[0], and the memory."""
        recent = []
        x = x.add_(levels[-1])
        for i, (block, before) in enumerate(zip(self.blocks, past, strict=True)):
            x, last = block(x.relu_(), before)
            recent.append(last)
            if i < len(self.up):
                x = smoothed(F.pixel_shuffle(self.up[i](x), 2)).add_(levels[-2 - i])
        return x, tuple(recent)


def smoothed(x: Tensor) -> Tensor:
    """x [N, c, H, W] blurred by 1 2 1 along rows and columns.

    A pixel-shuffle gives each pixel of a 2 x 2 its own weights, and what differs between them shows
    as a grid (Odena et al., "Deconvolution and checkerboard artifacts", 2016), here of the size of
    a latent. This filter is zero at just that frequency.
    """
    row = x.new_tensor([0.25, 0.5, 0.25])
    kernel = (row[:, None] * row).expand(x.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), kernel, groups=x.shape[1])


def resized(x: Tensor, scale: int) -> Tensor:
    """x [N, c, H, W] at [scale*H, scale*W], bilinear."""
    return x if scale == 1 else F.interpolate(x, scale_factor=float(scale), mode="bilinear")


def no_memory(widths: tuple[int, ...], levels: Iterable[int], latents: Tensor) -> Past:
    """Zeros for blocks at these levels, for latents [B, T, C, h, w] at the coarsest one's size."""
    batch, (rows, columns) = len(latents), latents.shape[-2:]
    sizes = {level: 2 ** (len(widths) - 1 - level) for level in levels}
    return tuple(
        latents.new_zeros(batch, widths[level], size * rows, size * columns)
        for level, size in sizes.items()
    )


@dataclass(frozen=True)
class GuideFeatures:
    """What the encoder made of the coarse frames of one chunk.

    `coarse` [B*4T, 3, scale*8h, scale*8w]; `levels[i]` [B*4T, widths[i], H_i, W_i], finest first;
    `strength` [B*4T, 1, 1, 1] in [0, 1]; `past`: what the next chunk needs of this one.
    """

    coarse: Tensor
    levels: tuple[Tensor, ...]
    strength: Tensor
    past: Past


class DecoderGuide(nn.Module):
    """`encode`, then `additions` for the decoder's stages, then `finish`, once per chunk.

    Keeps nothing between calls. `vae`: the decoder's shape. `config.check_decoder` tells which
    guides fit it.
    """

    def __init__(self, config: GuideConfig, vae: TinyVAEConfig) -> None:
        super().__init__()
        config.check_decoder(vae.patch)
        self.config = config
        widths = config.widths
        self.steps = [prod(vae.decoder_time[:k]) for k in range(len(vae.decoder_widths))]
        self.head_levels = len(widths) - len(vae.decoder_widths) + 1
        # The levels that the decoder has too, coarsest first, as its stages come.
        self.shared = [*range(self.head_levels - 1, len(widths))][::-1]
        self.encoder = CoarseEncoder(config)
        self.inject = nn.ModuleList(
            _zero(nn.Conv2d(FRAMES_PER_LATENT // steps * widths[level], into, 1))
            for steps, level, into in zip(self.steps, self.shared, vae.decoder_widths, strict=True)
        )
        self.enter = nn.Conv2d(vae.decoder_widths[-1], widths[self.head_levels - 1], 1)
        self.head = Ascent(widths[: self.head_levels])
        # Three colours to add, and how much of the coarse frame itself to show.
        self.out = _zero(conv3(widths[0], 4 * config.unshuffle**2))

    def no_past(self, latents: Tensor) -> Past:
        """The memory at the start of a stream, for latents [B, T, C, h, w]: zeros."""
        widths = self.config.widths
        encoder = no_memory(widths, range(1, len(widths)), latents)
        return (*encoder, *no_memory(widths, reversed(range(self.head_levels)), latents))

    def encode(self, coarse: Tensor, strength: Tensor, past: Past) -> GuideFeatures:
        """coarse [B, 4T, 3, scale*8h, scale*8w], strength [B] -> features of every level.

        The `past` of the result is that of the encoder's blocks, followed by the old one of the
        head's, which `finish` replaces.
        """
        flat, own = coarse.flatten(0, 1), len(self.encoder.blocks)
        levels, recent = self.encoder(flat, past[:own])
        frames = rearrange(
            strength.clamp(0, 1)[:, None].expand(-1, coarse.shape[1]), "b f -> (b f) 1 1 1"
        )
        return GuideFeatures(flat, levels, frames, (*recent, *past[own:]))

    def additions(self, features: GuideFeatures) -> tuple[Tensor, ...]:
        """What to add before each stage of the decoder and to its last activation: [B*t, c, H, W].

        A level's steps that the decoder has in one are joined as channels, earlier ones first.
        """
        added = []
        for steps, inject, i in zip(self.steps, self.inject, self.shared, strict=True):
            joined = FRAMES_PER_LATENT // steps
            level = rearrange(features.levels[i], "(n s) c h w -> n (s c) h w", s=joined)
            added.append(inject(laid_out(level)) * features.strength[::joined])
        return tuple(added)

    def finish(self, plain: Tensor, x: Tensor, features: GuideFeatures) -> tuple[Tensor, Past]:
        """The decoder's frames [B*4T, 3, 8h, 8w] and last activation x [B*4T, c, H, W], guided.

        Returns frames [B*4T, 3, scale*8h, scale*8w], not limited to [0, 1], and the new memory.
        At strength 0 they are `resize(plain)` exactly.
        """
        own = len(self.encoder.blocks)
        levels = features.levels[: self.head_levels]
        x, recent = self.head(self.enter(x), levels, features.past[own:])
        change = F.pixel_shuffle(self.out(x).mul_(features.strength), self.config.unshuffle)
        plain = self.resize(plain)
        shown = torch.addcmul(plain, change[:, 3:], features.coarse - plain)
        return shown.add_(change[:, :3]), (*features.past[:own], *recent)

    def resize(self, plain: Tensor) -> Tensor:
        """Frames [N, 3, 8h, 8w] at the guide's size."""
        return resized(plain, self.config.scale)


def check_guide(guide: Tensor, latents: Tensor, frames: int, scale: int) -> None:
    """Raise `ValueError` unless `guide` is [B, `frames`, 3, scale*8h, scale*8w] of floats."""
    if not guide.is_floating_point():
        raise ValueError(
            f"the guide is {guide.dtype}; give floats in [0, 1] (uint8: divide by 255)"
        )
    batch, (rows, columns) = len(latents), latents.shape[-2:]
    wanted = (batch, frames, 3, scale * 8 * rows, scale * 8 * columns)
    if tuple(guide.shape) != wanted:
        raise ValueError(
            f"the guide is {tuple(guide.shape)}; for latents {tuple(latents.shape)} at scale "
            f"{scale} give coarse frames {wanted}, one for each frame that comes out"
        )


def strengths(strength: Tensor | float | None, latents: Tensor) -> Tensor:
    """A number or [B] as [B], like `latents`; None is 1. `ValueError` for another shape."""
    value = torch.as_tensor(1.0 if strength is None else strength, device=latents.device)
    if value.ndim > 1 or (value.ndim and len(value) != len(latents)):
        raise ValueError(
            f"strength is {tuple(value.shape)}; give one number, or [{len(latents)}], one a clip"
        )
    return value.to(latents.dtype).expand(len(latents))


def _zero(layer: nn.Conv2d) -> nn.Conv2d:
    """The layer, with zeros for weights."""
    nn.init.zeros_(layer.weight)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer
