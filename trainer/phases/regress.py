"""Few-step ODE regression, the alternative to phase consistency.

A causal teacher's ODE is solved from noise to clean, every block after its clean past, and the
student must predict the end of that path from each level that it will be served at. Paths are made
for every batch, since samples of one clip differ in noise and colours: a step costs `distil.steps`
passes of the teacher. Mean squared error, as in CausVid and Self-Forcing.

Shapes: B samples, T latents, K levels of the student.
"""

from __future__ import annotations

import torch
from torch import Tensor

from c2r.streaming.schedule import clean_from_velocity, many_step_levels
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.rollout_plan import RolloutPlan
from trainer.distill.teacher import Conditions
from trainer.logs.loss_meter import Losses
from trainer.phases.autoregress import context_of
from trainer.phases.flow_matching import sample_losses
from trainer.phases.settings import TaughtRun
from trainer.phases.taught_phase import PathPhase, places_on_path
from trainer.sample_random import noise


class Regress(PathPhase):
    """The end of the teacher's path, from every level of the student."""

    name = "regress"

    def __init__(self, config: TaughtRun, world: World) -> None:
        super().__init__(config, world)
        stream = config.model.stream
        self.path = many_step_levels(config.distil.steps, stream.shift)
        self.places = places_on_path(stream, config.distil.steps)

    def losses(self, batch: Batch, step: int) -> Losses:
        """Regression on a micro-batch, from all levels at once."""
        config, batch = self.config, batch.to(self.world.device)
        clean, kept = self.encoders.latents(batch), self.kept(batch)
        features = self.feature_cache.features(batch)
        context, level = context_of(clean, config, batch.draws)
        teachers = self.conditions(batch, kept, features[self.teacher_dino])
        states, end = self._solve(context, level, teachers, batch)
        given = self.conditions(batch, kept, features[self.own_dino])
        count = len(self.places)
        many = Conditions(*(torch.cat([part] * count) for part in vars(given).values()))
        noisy, levels = self._mixed(states)
        velocity = self.forced(torch.cat([context] * count), noisy, levels, many, level)
        predicted = clean_from_velocity(noisy, velocity, levels[..., None, None, None])
        samples = (
            sample_losses(predicted, torch.cat([end] * count)).unflatten(0, (count, -1)).mean(0)
        )
        middle = levels.unflatten(0, (count, -1)).mean((0, 2))
        return Losses(samples.mean(), samples.detach(), middle, batch.sources)

    def _solve(
        self, context: Tensor, level: float, teachers: Conditions, batch: Batch
    ) -> tuple[list[Tensor], Tensor]:
        """Euler steps of the teacher: the path's states at the student's levels, and its end, each
        `[B, T, C, h, w]`.
        """
        x = noise(self.config.seed, batch.draws, tuple(context.shape[1:]), "noise")
        x, states = x.to(context.device), []
        for place, here in enumerate(self.path[:-1]):
            if place in self.places:
                states.append(x)
            levels = torch.full(x.shape[:2], here, device=x.device)
            velocity = self.path_teacher.forced(context, x, levels, self.mask, teachers, level)
            x = x + (self.path[place + 1] - here) * velocity
        return states, x

    def _mixed(self, states: list[Tensor]) -> tuple[Tensor, Tensor]:
        """K copies of the batch, each block of a copy at another level: states `[K B, T, ...]` and
        levels `[K B, T]`.

        Every block is at every level in one of the copies, so a single pass covers all pairs.
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
