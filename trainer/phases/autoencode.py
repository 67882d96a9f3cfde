"""Trains the tiny VAE: frames to latents that a DiT can learn, and back.

The loss is the absolute error of pixels and of their differences to the right, below and in time
(edges and motion count more than flat areas), and moments: each latent channel is pulled to mean 0
and variance 1, which flow matching expects of what it learns. Noise is added to the latents before
decoding, so that the decoder forgives a DiT's small errors.

Shapes: B clips, F frames, T latents, C channels, H W pixels.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from c2r.models.presets import TinyVAEConfig
from c2r.models.tiny_vae import TinyVAE
from c2r.weights.save import save_weights
from trainer.data.batch import Batch
from trainer.draws import plain_random
from trainer.phases.foundation import FoundationPhase, pixels
from trainer.phases.phase import Losses
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
    """How far the channels of latents `[B, T, C, h, w]` are from mean 0 and variance 1."""
    rows = latents.transpose(1, 2).transpose(0, 1).flatten(1)  # [C, B*T*h*w]
    return (rows.mean(1).square() + (rows.var(1) + 1e-6).log().square()).mean()


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
        if self._decoder_only:
            assert isinstance(network, TinyVAE)
            network.encoder.requires_grad_(False)
        return network

    def losses(self, batch: Batch, step: int) -> Losses:
        """Reconstruction of one crop a micro-batch."""
        assert isinstance(self.network, TinyVAE)
        wanted = self._crop(pixels(batch, self.world.device), batch.draws[0])
        with torch.set_grad_enabled(not self._decoder_only):
            latents = self.network.encode(wanted)
        noise = self.config.autoencode.noise * torch.randn(
            latents.shape, generator=self._generator(batch), dtype=torch.float32
        )
        made = self.network.decode(latents + noise.to(latents)).float()
        error = (made - wanted).abs().flatten(1).mean(1)
        samples = error + self.config.autoencode.gradient * gradient_loss(made, wanted)
        total = samples.mean()
        if not self._decoder_only:
            total = total + self.config.autoencode.moments * moment_loss(latents.float())
        levels = torch.zeros(len(samples))
        return Losses(total, samples.detach(), levels, batch.sources)

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
