"""From a bidirectional renderer to a causal one: teacher-forced flow matching.

Clean clip and noised clip go through the DiT as one sequence: noisy block b sees itself and the
clean blocks before it, each block has a noise level of its own, and both copies of a latent get the
control of that latent. What comes out is a many-step causal model; the phases after it make the
steps few.

Shapes: B samples, T latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from c2r.models.configs import Preset
from c2r.streaming.schedule import TRAIN_STEPS, add_noise
from trainer.data.batch import Batch
from trainer.distill.rollout_plan import RolloutPlan
from trainer.logs.loss_meter import Losses
from trainer.phases.flow_matching import draw_levels, flow_losses
from trainer.phases.settings import FlowRun
from trainer.phases.student_phase import StudentPhase
from trainer.sample_random import noise
from trainer.settings import TrainConfig


def block_levels(config: FlowRun, draws: Sequence[int]) -> Tensor:
    """Noise levels `[B, T]`, one for each block of each sample."""
    blocks = RolloutPlan(config.latents, range(0)).blocks(config.model.stream.chunk)
    columns = [
        draw_levels(config.flow, config.seed, draws, f"level {number}")[:, None].expand(
            -1, len(block)
        )
        for number, block in enumerate(blocks)
    ]
    return torch.cat(columns, dim=1)


def context_of(clean: Tensor, config: TrainConfig, draws: tuple[int, ...]) -> tuple[Tensor, float]:
    """The clean half as serving leaves it in the K/V cache, and its noise level.

    A stream whose cache is written with `context_noise` must be trained on a past as noisy: a
    student that only knew a perfect past trusts its own mistakes, and they add up.
    """
    level = config.model.stream.context_noise / TRAIN_STEPS
    if level == 0:
        return clean, level
    drawn = noise(config.seed, draws, tuple(clean.shape[1:]), "context").to(clean.device)
    return add_noise(clean, drawn, level), level


class Autoregress(StudentPhase[FlowRun]):
    """Flow matching of every block after its clean past."""

    name = "autoregress"

    def losses(self, batch: Batch, step: int) -> Losses:
        """Teacher forcing on a micro-batch."""
        config, batch = self.config, batch.to(self.world.device)
        clean = self.encoders.latents(batch)
        features = self.feature_cache.features(batch)[self.own_dino]
        given = self.conditions(batch, self.kept(batch), features)
        levels = block_levels(config, batch.draws).to(clean.device)
        drawn = noise(config.seed, batch.draws, tuple(clean.shape[1:]), "noise").to(clean.device)
        context, context_level = context_of(clean, config, batch.draws)
        noisy = add_noise(clean, drawn, levels[..., None, None, None])
        velocity = self.forced(context, noisy, levels, given, context_level)
        samples = flow_losses(velocity, drawn - clean, levels, config.flow)
        return Losses(samples.mean(), samples.detach(), levels.mean(1), batch.sources)

    def shown(self) -> Preset:
        """With as many steps as `log.sampler` has: this phase's student is no few-step one yet."""
        preset, steps = self.config.model, self.config.log.sampler.steps
        timesteps = tuple(TRAIN_STEPS * (1 - step / steps) for step in range(steps))
        stream = replace(preset.stream, timesteps=timesteps, first_timesteps=None)
        return replace(preset, stream=stream)
