"""Causal consistency distillation: few steps from single steps of a causal teacher's path.

The teacher is causal already (phase autoregress; by default the very renderer that the student
starts from). From a block's noisy latents at one of N levels it takes one guided Euler step towards
clean; the student must see the same clean block from both ends of that step (Song et al., 2023,
arXiv:2303.01469). Targets are the student's own, without gradient (Song & Dhariwal, 2023,
arXiv:2310.14189). Blocks are teacher-forced: each follows its clean past. Nothing is kept on disk.

Shapes: B samples, T latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from c2r.streaming.schedule import add_noise, clean_from_velocity, many_step_levels
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.rollout_plan import RolloutPlan
from trainer.distill.teacher import Conditions
from trainer.logs.loss_meter import Losses
from trainer.phases.autoregress import context_of
from trainer.phases.flow_matching import sample_losses
from trainer.phases.settings import TaughtRun
from trainer.phases.taught_phase import PathPhase
from trainer.sample_random import noise, plain_random


def block_steps(config: TaughtRun, draws: Sequence[int]) -> Tensor:
    """The step of the path that each latent is trained on, `[B, T]`: one for each block."""
    blocks = RolloutPlan(config.latents, range(0)).blocks(config.model.stream.chunk)
    rows = []
    for draw in draws:
        random = plain_random(config.seed, draw, "path")
        rows.append(
            [
                step
                for block in blocks
                for step in [random.randrange(config.distil.steps)] * len(block)
            ]
        )
    return torch.tensor(rows)


class Consistency(PathPhase):
    """The same clean clip from both ends of a teacher's step."""

    name = "consistency"

    def __init__(self, config: TaughtRun, world: World) -> None:
        super().__init__(config, world)
        shift = config.model.stream.shift
        self.levels = torch.tensor(many_step_levels(config.distil.steps, shift))

    def losses(self, batch: Batch, step: int) -> Losses:
        """The disagreement of both ends on a micro-batch."""
        config, batch = self.config, batch.to(self.world.device)
        clean, kept = self.encoders.latents(batch), self.kept(batch)
        features = self.feature_cache.features(batch)
        given = self.conditions(batch, kept, features[self.own_dino])
        teachers = self.conditions(batch, kept, features[self.teacher_dino])
        steps = block_steps(config, batch.draws)
        high, low = (self.levels[place].to(clean.device) for place in (steps, steps + 1))
        drawn = noise(config.seed, batch.draws, tuple(clean.shape[1:]), "noise").to(clean.device)
        noisy = add_noise(clean, drawn, _each(high))
        context, level = context_of(clean, config, batch.draws)
        velocity = self.path_teacher.forced(context, noisy, high, self.mask, teachers, level)
        nearer = noisy + _each(low - high) * velocity
        # The cleaner end is the target. With a gradient it would be pulled towards the other end's
        # prediction, the worse of the two.
        with torch.no_grad():
            target = self._clean(context, nearer, low, given, level)
        clean_seen = self._clean(context, noisy, high, given, level)
        samples = sample_losses(clean_seen, target)
        return Losses(samples.mean(), samples.detach(), high.mean(1), batch.sources)

    def _clean(
        self, context: Tensor, noisy: Tensor, levels: Tensor, given: Conditions, level: float
    ) -> Tensor:
        """Every clean block as the student predicts it; at level 0 the block itself."""
        velocity = self.forced(context, noisy, levels, given, level)
        return clean_from_velocity(noisy, velocity, _each(levels))


def _each(levels: Tensor) -> Tensor:
    """Levels `[B, T]` beside latents."""
    return levels[..., None, None, None]
