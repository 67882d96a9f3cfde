"""Causal consistency distillation: few steps from a causal teacher's path, followed a step a time.

The teacher is causal already (phase autoregress; by default the very renderer that the student
starts from). From a block's noisy latents at one of N levels it takes one guided Euler step towards
clean; the student must see the same clean block from both ends of that step (Song et al., 2023,
arXiv:2303.01469). Targets are the student's own, without gradient (Song & Dhariwal, 2023,
arXiv:2310.14189). Blocks are teacher-forced: each follows its clean past. Nothing lies on disk.

Shapes: B samples, T latents.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from c2r.streaming.schedule import add_noise, clean_from_velocity, many_step_levels
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.path import places_on_path
from trainer.distill.rollout_plan import RolloutPlan
from trainer.distill.teacher import Conditions
from trainer.flow_matching import sample_losses
from trainer.phases.autoregress import context_of
from trainer.phases.phase import Losses
from trainer.phases.student_phase import StudentPhase
from trainer.sample_random import noise, plain_random
from trainer.settings import TrainConfig


def block_steps(config: TrainConfig, draws: Sequence[int]) -> Tensor:
    """Which of the path's steps each latent is asked about, `[B, T]`: one for each block."""
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


class Consistency(StudentPhase):
    """Two ends of a teacher's step, one clean clip."""

    name = "consistency"

    def __init__(self, config: TrainConfig, world: World) -> None:
        super().__init__(config, world)
        start = self.teacher_start(config.distil.teacher)
        self.teacher_sight = self.sight.add(start)
        self.path_teacher = self.teacher(start)
        shift = config.model.stream.shift
        self.levels = torch.tensor(many_step_levels(config.distil.steps, shift))

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        """The path must have the student's levels."""
        super().check(config)
        places_on_path(config.model.stream, config.distil.steps)

    def losses(self, batch: Batch, step: int) -> Losses:
        """The disagreement of both ends on a micro-batch."""
        config, batch = self.config, batch.to(self.world.device)
        clean, seen, kept = (
            self.encoders.latents(batch),
            self.sight.look(batch),
            self.kept(batch),
        )
        given = self.conditions(batch, kept, seen[self.own_sight])
        asked = self.conditions(batch, kept, seen[self.teacher_sight])
        steps = block_steps(config, batch.draws)
        high, low = (self.levels[place].to(clean.device) for place in (steps, steps + 1))
        drawn = noise(config.seed, batch.draws, tuple(clean.shape[1:]), "noise").to(clean.device)
        noisy = add_noise(clean, drawn, _each(high))
        context, level = context_of(clean, config, batch.draws)
        velocity = self.path_teacher.forced(context, noisy, high, self.mask, asked, level)
        nearer = noisy + _each(low - high) * velocity
        with torch.no_grad():
            target = self._clean(context, nearer, low, given, level)
        found = self._clean(context, noisy, high, given, level)
        samples = sample_losses(found, target)
        return Losses(samples.mean(), samples.detach(), high.mean(1), batch.sources)

    def _clean(
        self, context: Tensor, noisy: Tensor, levels: Tensor, given: Conditions, level: float
    ) -> Tensor:
        """What the student sees in every noisy block; at level 0 the block itself."""
        velocity = self.forced(context, noisy, levels, given, level)
        return clean_from_velocity(noisy, velocity, _each(levels))


def _each(levels: Tensor) -> Tensor:
    """Levels `[B, T]` beside latents."""
    return levels[..., None, None, None]
