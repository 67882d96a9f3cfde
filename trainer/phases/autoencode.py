"""Trains the tiny VAE: frames to latents that a DiT can learn, and back.

The loss is the absolute error of pixels and of their differences to the right, below and in time
(edges and motion count more than flat areas), and two terms that make latents easy for a DiT:

* moments: no latent channel's mean square goes beyond 1. More would pay, as noise is added, so it
  comes to be about 1, as flow matching expects. Nothing asks a clip for mean 0 or variance 1: a
  night is darker than a noon, and need not hide it.
* halves: latents pooled to half the size must decode to the frames at half the size, so that what
  is coarse in a frame is coarse in the latents (the regulariser of EQ-VAE, Kouzelis et al.,
  2025, arXiv:2502.09509).

Noise is added to the latents before decoding, so that the decoder forgives a DiT's small errors.

A VAE with linear paths is initialised as the best linear one, found without training: the principal
components of a latent's 4 x 8 x 8 pixels are the matrix, its transpose the way back; the
convolutions beside it begin at zero and learn what is missing. Coarse components vary far more than
fine ones; latents keep a part of that, so that a DiT learns what matters first.

Shapes: B clips, F frames, T latents, C channels, H W pixels, N latents of all clips, D = 768 pixels
of a latent.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.configs import FRAMES_PER_LATENT, PIXELS_PER_LATENT, TinyVAEConfig
from c2r.models.pixels import as_bytes, averaged
from c2r.models.tiny_vae import FOLDED, TinyVAE, folded, repeat_first_frame
from c2r.weights.save import save_weights
from trainer.data.batch import Batch
from trainer.data.loader import open_clips
from trainer.logs.loss_meter import Losses
from trainer.phases.foundation import FoundationPhase, pixels
from trainer.phases.settings import AutoencodeRun
from trainer.sample_random import plain_random
from trainer.settings import TrainConfig

VAE_FILE = "vae.safetensors"
CLIPS = 60
"""Clips that the components are taken from."""
SHARE = 1 / 3
"""A latent channel's deviation, relative to the first one's: its component's to this power."""


def gradient_loss(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error `[B]` of `[B, F, 3, H, W]`'s differences along width, height, time."""
    total = output.new_zeros(len(output))
    for axis in (4, 3, 1):
        if output.shape[axis] > 1:
            total = total + (output.diff(dim=axis) - target.diff(dim=axis)).abs().flatten(1).mean(1)
    return total


def moment_loss(latents: Tensor) -> Tensor:
    """How far the mean squares of the channels of latents `[B, T, C, h, w]` are beyond 1."""
    return F.relu(latents.square().mean((0, 1, 3, 4)).add(1e-6).log()).square().mean()


def component_clips(config: TrainConfig) -> list[Tensor]:
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
        clip = repeat_first_frame(frames[None, :whole]).float() / 255
        rows = folded(clip).permute(0, 2, 3, 1).flatten(0, 2)  # [N, D]
        total, mean, count = total + rows.T @ rows, mean + rows.sum(0), count + len(rows)
    mean = mean / count
    values, vectors = torch.linalg.eigh(total / count - torch.outer(mean, mean))
    return mean, vectors.flip(1), values.flip(0).clamp_min(1e-12).sqrt()


@torch.no_grad()
def initialise_linear(vae: TinyVAE, clips: list[Tensor]) -> None:
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


class Autoencode(FoundationPhase[AutoencodeRun]):
    """Reconstruction of crops of real and rendered frames, controls included."""

    name = "autoencode"
    PART = "vae"

    @classmethod
    def check(cls, config: AutoencodeRun) -> None:
        """A tiny VAE only: the Wan VAE is published."""
        super().check(config)
        if not isinstance(config.model.vae, TinyVAEConfig):
            raise ValueError("phase autoencode trains a tiny VAE; set model.vae.kind to tiny")

    def build(self) -> nn.Module:
        network = self.start.vae().requires_grad_(True)
        assert isinstance(network, TinyVAE)
        if self._decoder_only:
            network.encoder.requires_grad_(False)
            if network.encoder_linear is not None:
                network.encoder_linear.requires_grad_(False)
        elif self.start.fresh("vae") and network.config.linear:
            initialise_linear(network, component_clips(self.config))
        return network

    def losses(self, batch: Batch, step: int) -> Losses:
        """Reconstruction of one crop per micro-batch."""
        assert isinstance(self.network, TinyVAE)
        target = self._crop(pixels(batch, self.world.device), batch.draws[0])
        with torch.set_grad_enabled(not self._decoder_only):
            latents = self.network.encode(target)
        generator = self._generator(batch)
        samples = self._error(latents, target, generator)
        total = samples.mean()
        if not self._decoder_only:
            weights = self.config.autoencode
            small = averaged(latents, 2)
            rows, columns = (PIXELS_PER_LATENT * side for side in small.shape[3:])
            shrunk = averaged(target, 2)[..., :rows, :columns]
            total = total + weights.halves * self._error(small, shrunk, generator).mean()
            total = total + weights.moments * moment_loss(latents.float())
        levels = torch.zeros(len(samples))
        return Losses(total, samples.detach(), levels, batch.sources)

    def _error(self, latents: Tensor, target: Tensor, generator: torch.Generator) -> Tensor:
        """Of each sample `[B]`, after noise on the latents."""
        assert isinstance(self.network, TinyVAE)
        weights = self.config.autoencode
        noise = weights.noise * torch.randn(latents.shape, generator=generator)
        output = self.network.decode(latents + noise.to(latents)).float()
        error = (output - target).abs().flatten(1).mean(1)
        return error + weights.gradient * gradient_loss(output, target)

    @property
    def _decoder_only(self) -> bool:
        return self.config.autoencode.learns == "decoder"

    def _generator(self, batch: Batch) -> torch.Generator:
        return torch.Generator().manual_seed(self.config.seed * 7_919 + batch.draws[0])

    def _crop(self, frames: Tensor, draw: int) -> Tensor:
        """One random crop, mirrored half of the time; whole frames where `crop` is 0."""
        size = self.config.autoencode.crop
        random_ = plain_random(self.config.seed, draw, "crop")
        if size:
            height, width = min(size, frames.shape[3]), min(size, frames.shape[4])
            top = random_.randint(0, frames.shape[3] - height)
            left = random_.randint(0, frames.shape[4] - width)
            frames = frames[..., top : top + height, left : left + width]
        return frames.flip(-1) if random_.random() < 0.5 else frames

    @torch.no_grad()
    def sample_frames(self, batch: Batch) -> Tensor:
        """Reconstructions of the batch's clips."""
        assert isinstance(self.network, TinyVAE)
        whole = pixels(batch, self.world.device)
        return as_bytes(self.network.decode(self.network.encode(whole))).cpu()

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """`vae.safetensors` in the run's folder: trained weights, and those that did not train."""
        whole = {**self.start.vae().state_dict(), **weights}
        save_weights(whole, self.config.folder / VAE_FILE)
