"""Causal ODE regression, the alternative to phase consistency: few steps learned by heart.

A causal teacher's whole path from noise to clean is walked, every block after its clean past, and
the student must see the path's end from each level that it will be served at. Paths are walked
anew for every batch, since samples of one clip differ in noise and colours: a step costs
`distil.steps` passes of the teacher. Mean squared error, as in CausVid and Self-Forcing.

Shapes: B samples, T latents, K levels of the student.
"""

from __future__ import annotations

import torch
from torch import Tensor

from c2r.streaming.schedule import clean_from_velocity, many_step_levels
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.path import places_on_path
from trainer.distill.rollout_plan import RolloutPlan
from trainer.distill.teacher import Conditions
from trainer.flow_matching import sample_losses
from trainer.phases.autoregress import context_of
from trainer.phases.phase import Losses
from trainer.phases.student_phase import StudentPhase
from trainer.sample_random import noise
from trainer.settings import TrainConfig


class Regress(StudentPhase):
    """The end of the teacher's path, from every level of the student."""

    name = "regress"

    def __init__(self, config: TrainConfig, world: World) -> None:
        super().__init__(config, world)
        start = self.teacher_start(config.distil.teacher)
        self.teacher_sight = self.sight.add(start)
        self.path_teacher = self.teacher(start)
        stream = config.model.stream
        self.path = many_step_levels(config.distil.steps, stream.shift)
        self.places = places_on_path(stream, config.distil.steps)

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        """The path must have the student's levels."""
        super().check(config)
        places_on_path(config.model.stream, config.distil.steps)

    def losses(self, batch: Batch, step: int) -> Losses:
        """Regression on a micro-batch, from all levels at once."""
        config, batch = self.config, batch.to(self.world.device)
        clean, seen, kept = (
            self.encoders.latents(batch),
            self.sight.look(batch),
            self.kept(batch),
        )
        context, level = context_of(clean, config, batch.draws)
        asked = self.conditions(batch, kept, seen[self.teacher_sight])
        states, end = self._walk(context, level, asked, batch)
        given = self.conditions(batch, kept, seen[self.own_sight])
        count = len(self.places)
        many = Conditions(*(torch.cat([part] * count) for part in vars(given).values()))
        noisy, levels = self._mixed(states)
        velocity = self.forced(torch.cat([context] * count), noisy, levels, many, level)
        found = clean_from_velocity(noisy, velocity, levels[..., None, None, None])
        samples = sample_losses(found, torch.cat([end] * count)).unflatten(0, (count, -1)).mean(0)
        middle = levels.unflatten(0, (count, -1)).mean((0, 2))
        return Losses(samples.mean(), samples.detach(), middle, batch.sources)

    def _walk(
        self, context: Tensor, level: float, asked: Conditions, batch: Batch
    ) -> tuple[list[Tensor], Tensor]:
        """The path's states at the student's levels, and its end, each `[B, T, C, h, w]`."""
        x = noise(self.config.seed, batch.draws, tuple(context.shape[1:]), "noise")
        x, states = x.to(context.device), []
        for place, here in enumerate(self.path[:-1]):
            if place in self.places:
                states.append(x)
            levels = torch.full(x.shape[:2], here, device=x.device)
            velocity = self.path_teacher.forced(context, x, levels, self.mask, asked, level)
            x = x + (self.path[place + 1] - here) * velocity
        return states, x

    def _mixed(self, states: list[Tensor]) -> tuple[Tensor, Tensor]:
        """K copies of the batch, each block of a copy at another level: states `[K B, T, ...]` and
        levels `[K B, T]`.
        """
        blocks = RolloutPlan(self.config.latents, range(0)).blocks(self.config.model.stream.chunk)
        count, size = len(states), len(states[0])
        noisy, levels = [], []
        for copy in range(count):
            chosen = [(copy + number) % count for number in range(len(blocks))]
            parts = [states[c][:, b.start : b.stop] for c, b in zip(chosen, blocks, strict=True)]
            noisy.append(torch.cat(parts, dim=1))
            row = [
                self.path[self.places[c]] for c, b in zip(chosen, blocks, strict=True) for _ in b
            ]
            levels.append(torch.tensor(row, device=states[0].device).expand(size, -1))
        return torch.cat(noisy), torch.cat(levels)
