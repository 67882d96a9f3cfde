"""Where a tiny VAE with linear paths begins: at the best linear one, found without training.

The principal components of a latent's 4 x 8 x 8 pixels are the matrix, and its transpose the way
back; the convolutions beside it begin at nothing and learn what is missing. Coarse components vary
far more than fine ones; latents keep a part of that, so that a DiT sees what matters first.

Shapes: B clips, F frames, N latents of all clips, D = 768 pixels of a latent, C channels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from c2r.models.configs import FRAMES_PER_LATENT
from c2r.models.tiny_vae import FOLDED, TinyVAE, folded, led_in
from trainer.data.loader import open_clips
from trainer.settings import TrainConfig

CLIPS = 60
"""Clips that the components are taken from."""
SHARE = 1 / 3
"""A latent channel's deviation, relative to the first one's: its component's to this power."""


def some_clips(config: TrainConfig) -> list[Tensor]:
    """Frames `[F, 3, H, W]` uint8 of evenly chosen clips to train on."""
    opened = open_clips(config)
    step = -(-len(opened.clips) // CLIPS)
    samples = [
        opened.reader.read(clip, draw, control=False)
        for draw, clip in enumerate(opened.clips[::step])
    ]
    return [sample.frames for sample in samples if sample.frames is not None]


def principal_components(clips: list[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean `[D]`, components `[D, D]` (columns, the largest first) and their deviations `[D]`."""
    total, mean, count = torch.zeros(FOLDED, FOLDED), torch.zeros(FOLDED), 0
    for frames in clips:
        whole = 1 + (len(frames) - 1) // FRAMES_PER_LATENT * FRAMES_PER_LATENT
        pixels = led_in(frames[None, :whole]).float() / 255
        rows = folded(pixels).permute(0, 2, 3, 1).flatten(0, 2)  # [N, D]
        total, mean, count = total + rows.T @ rows, mean + rows.sum(0), count + len(rows)
    mean = mean / count
    values, vectors = torch.linalg.eigh(total / count - torch.outer(mean, mean))
    return mean, vectors.flip(1), values.flip(0).clamp_min(1e-12).sqrt()


@torch.no_grad()
def begin_linear(vae: TinyVAE, clips: list[Tensor]) -> None:
    """Set the linear paths to the components of these clips, and what the networks add to zero."""
    assert vae.encoder_linear is not None
    assert vae.decoder_linear is not None
    mean, components, deviations = principal_components(clips)
    count = vae.config.channels
    basis, own = components[:, :count], deviations[:count]
    scale = (own / own[0]) ** SHARE / own  # [C]
    _set(vae.encoder_linear, basis.T * scale[:, None], -(mean @ basis) * scale)
    _set(vae.decoder_linear, basis / scale, mean)
    for half in (vae.encoder, vae.decoder):
        last = half[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.weight.zero_()
        last.bias.zero_()


def _set(layer: nn.Conv2d, weight: Tensor, bias: Tensor) -> None:
    assert layer.bias is not None
    layer.weight.copy_(weight[:, :, None, None])
    layer.bias.copy_(bias)
