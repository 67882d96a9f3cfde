"""Trains the tiny VAE: frames to latents that a DiT can learn, and back.

The loss is the absolute error of pixels and of their differences to the right, below and in time
(edges and motion count more than flat areas), and two terms that make latents easy for a DiT:

* moments: no latent channel's mean square goes beyond 1. More would pay, as noise is added, so it
  comes to be about 1, as flow matching expects. Nothing asks a clip for mean 0 or variance 1: a
  night is darker than a noon, and need not hide it.
* halves: latents pooled to half the size must decode to the frames at half the size, so that what
  is coarse in the picture is coarse in the latents (the regulariser of EQ-VAE, Kouzelis et al.,
  2025, arXiv:2502.09509).

Noise is added to the latents before decoding, so that the decoder forgives a DiT's small errors.

Shapes: B clips, F frames, T latents, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.configs import PIXELS_PER_LATENT, TinyVAEConfig
from c2r.models.tiny_vae import TinyVAE
from c2r.weights.save import save_weights
from trainer.data.batch import Batch
from trainer.phases.foundation import FoundationPhase, pixels
from trainer.phases.phase import Losses
from trainer.phases.principal_components import begin_linear, some_clips
from trainer.sample_random import plain_random
from trainer.settings import TrainConfig

VAE_FILE = "vae.safetensors"


def gradient_loss(made: Tensor, wanted: Tensor) -> Tensor:
    """Mean absolute error `[B]` of `[B, F, 3, H, W]`'s differences along width, height, time."""
    total = made.new_zeros(len(made))
    for axis in (4, 3, 1):
        if made.shape[axis] > 1:
            total = total + (made.diff(dim=axis) - wanted.diff(dim=axis)).abs().flatten(1).mean(1)
    return total


def moment_loss(latents: Tensor) -> Tensor:
    """How far the mean squares of the channels of latents `[B, T, C, h, w]` are beyond 1."""
    return F.relu(latents.square().mean((0, 1, 3, 4)).add(1e-6).log()).square().mean()


def halved(pictures: Tensor) -> Tensor:
    """`[B, T, C, h, w]` at half the size, each 2 x 2 averaged."""
    return F.avg_pool2d(pictures.flatten(0, 1), 2).unflatten(0, pictures.shape[:2])


class Autoencode(FoundationPhase):
    """Reconstruction of crops of real and rendered frames, controls included."""

    name = "autoencode"
    PART = "vae"

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        """A tiny VAE only: the Wan VAE is published."""
        super().check(config)
        if not isinstance(config.model.vae, TinyVAEConfig):
            raise ValueError("phase autoencode trains a tiny VAE; set model.vae.kind to tiny")

    def build(self) -> nn.Module:
        """The VAE."""
        network = self.start.vae().requires_grad_(True)
        assert isinstance(network, TinyVAE)
        if self._decoder_only:
            network.encoder.requires_grad_(False)
            if network.encoder_linear is not None:
                network.encoder_linear.requires_grad_(False)
        elif self.start.fresh("vae") and network.config.linear:
            begin_linear(network, some_clips(self.config))
        return network

    def losses(self, batch: Batch, step: int) -> Losses:
        """Reconstruction of one crop a micro-batch."""
        assert isinstance(self.network, TinyVAE)
        wanted = self._crop(pixels(batch, self.world.device), batch.draws[0])
        with torch.set_grad_enabled(not self._decoder_only):
            latents = self.network.encode(wanted)
        generator = self._generator(batch)
        samples = self._error(latents, wanted, generator)
        total = samples.mean()
        if not self._decoder_only:
            weights = self.config.autoencode
            small = halved(latents)
            rows, columns = (PIXELS_PER_LATENT * side for side in small.shape[3:])
            shrunk = halved(wanted)[..., :rows, :columns]
            total = total + weights.halves * self._error(small, shrunk, generator).mean()
            total = total + weights.moments * moment_loss(latents.float())
        levels = torch.zeros(len(samples))
        return Losses(total, samples.detach(), levels, batch.sources)

    def _error(self, latents: Tensor, wanted: Tensor, generator: torch.Generator) -> Tensor:
        """Of each sample `[B]`, after noise on the latents."""
        assert isinstance(self.network, TinyVAE)
        weights = self.config.autoencode
        noise = weights.noise * torch.randn(latents.shape, generator=generator)
        made = self.network.decode(latents + noise.to(latents)).float()
        error = (made - wanted).abs().flatten(1).mean(1)
        return error + weights.gradient * gradient_loss(made, wanted)

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
    def pictures(self, batch: Batch) -> Tensor:
        """Reconstructions of the batch's clips."""
        assert isinstance(self.network, TinyVAE)
        whole = pixels(batch, self.world.device)
        made = self.network.decode(self.network.encode(whole)).float()
        return (made * 255).round().clamp(0, 255).to(torch.uint8).cpu()

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """`vae.safetensors` in the run's folder: what learnt, and what stayed as it was."""
        whole = {**self.start.vae().state_dict(), **weights}
        save_weights(whole, self.config.folder / VAE_FILE)
