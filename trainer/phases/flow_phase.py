"""What phases align and ground share: one denoiser, one loss, sample videos, a renderer.

The two say what trains and what a batch is conditioned on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.logs.loss_meter import Losses
from trainer.networks.assemble import Adapt, Trains, build_denoiser
from trainer.networks.denoiser import Denoiser
from trainer.networks.encoders import Encoders
from trainer.networks.renderer import Fill, fill, write_renderer
from trainer.networks.start import Start
from trainer.phases.flow_matching import Kept, draw_kept, flow_losses, noised
from trainer.phases.settings import FlowRun
from trainer.sample_random import noise
from trainer.settings import OptimConfig

PART = "renderer"
Run = TypeVar("Run", bound=FlowRun)


class FlowPhase(Generic[Run]):
    """Flow matching of a denoiser; see `Phase` for the interface."""

    name = ""
    needs_control = False
    only_control = False

    def __init__(self, config: Run, world: World) -> None:
        self.check(config)
        self.config, self.world = config, world
        self.start = Start(config)
        self.encoders = Encoders(config, world, self.start, control=self.needs_control)
        self.denoiser = build_denoiser(
            config,
            world,
            self.start,
            control=self.needs_control,
            trains=self.trains(config),
            kind=Denoiser,
            adapt=self.adapt(config),
        )

    @classmethod
    def check(cls, config: Run) -> None:
        """`ValueError` for settings that this phase cannot have."""

    @classmethod
    def trains(cls, config: Run) -> Trains:
        """Which parameters of the denoiser train."""
        raise NotImplementedError

    @classmethod
    def adapt(cls, config: Run) -> Adapt | None:
        """What changes the DiT before training."""
        return None

    def fill_dit(self) -> Fill:
        """How a DiT takes what was trained."""
        return fill

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {PART: self.denoiser}

    def optim(self, part: str) -> OptimConfig:
        return self.config.optim

    def turn(self, step: int) -> str:
        return PART

    def conditions(self, batch: Batch, kept: Kept) -> dict[str, Tensor]:
        """What the denoiser is given beside text."""
        return {}

    def losses(self, batch: Batch, step: int) -> Losses:
        """Flow matching on a micro-batch."""
        config, device = self.config, self.world.device
        batch = batch.to(device)
        noisy = noised(self.encoders.latents(batch), batch.draws, config.flow, config.seed)
        kept = draw_kept(config.data, config.seed, batch.draws)
        with_text = kept.text.to(device)[:, None, None].bool()
        text = torch.where(with_text, self.encoders.text(batch), self.encoders.empty.float())
        velocity = self.denoiser(noisy.x, noisy.timesteps, text, **self.conditions(batch, kept))
        samples = flow_losses(velocity, self.denoiser.own(noisy.target), noisy.levels, config.flow)
        return Losses(samples.mean(), samples.detach(), noisy.levels, batch.sources)

    @torch.no_grad()
    def sample_frames(self, batch: Batch) -> Tensor:
        """Samples of the weights as they are, not of their EMA."""
        batch = batch.to(self.world.device)
        preset = self.config.model
        shape = (self.config.latents, preset.dit.channels, *preset.latent_size)
        start = noise(self.config.seed, batch.draws, shape, "sample").to(self.world.device)
        kept = Kept(torch.ones(len(batch.draws)), torch.ones(len(batch.draws)))
        features = self.conditions(batch, kept).get("features")
        text = self.encoders.text(batch)
        negative = self.encoders.negative.float()
        clean = self.denoiser.sample(
            start, text, negative, self.config.log.sampler, features=features
        )
        return self.encoders.decode(clean)

    @torch.no_grad()
    def decoded(self, batch: Batch) -> Tensor:
        """What the VAE makes of the batch's own latents."""
        return self.encoders.decode(self.encoders.latents(batch.to(self.world.device)))

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """The whole renderer as a folder that `--weights` takes."""
        folder = self.config.folder / "renderer"
        write_renderer(self.config, self.start, weights, folder, fill_dit=self.fill_dit())
