"""Distribution matching with self-rollout: the student trains on its own streams, as served.

The student streams by the code that serves (`c2r.streaming.rollout`) and ends each scored chunk at
its exit step; gradients go through that step alone. The exit is drawn once per training step, the
same for all processes and chunks: sharded weights are gathered by all processes together, and one
with more passes than the others would wait for ever. Over many training steps every level that the
student is served at is an exit.

Teacher and critic score the clip under the same control. In turn: the critic learns what the
student makes, several times, so that its score is that of the student of now and not of some
updates ago; then the heads of the adversarial term, if there is one; then the student. Needs
prompts and control; latents of clips only for the adversarial term.

Shapes: B samples, T latents, F pixel frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.func import functional_call

from c2r.models.seeded import seeded
from c2r.streaming.schedule import TRAIN_STEPS, add_noise
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.losses import (
    Adversary,
    check_blocks,
    judge_losses,
    matching_gradient,
    matching_losses,
    score_levels,
    student_losses,
    tokens_after,
)
from trainer.distill.rollout_plan import (
    RolloutPlan,
    draw_rollout_plan,
    frames_of,
    ping_pong_indices,
)
from trainer.distill.student import CausalDenoiser
from trainer.distill.teacher import Conditions, Teacher, score
from trainer.logs.loss_meter import Losses
from trainer.networks.assemble import build_denoiser
from trainer.phases.flow_matching import sample_losses
from trainer.phases.settings import DmdRun
from trainer.phases.student_phase import STUDENT
from trainer.phases.taught_phase import TaughtPhase
from trainer.sample_random import noise
from trainer.settings import OptimConfig

CRITIC, ADVERSARY = "critic", "adversary"
RUN_IN = 3
"""Latents decoded, for warm-up, to get the frame that is encoded as a clip's first latent."""


@dataclass(frozen=True)
class Scored:
    """A student's clip `[B, T, C, h, w]` as teacher and critic score it.

    `held`: latents in front that are given, not made: 0 or 1. Conditions are those of the student,
    the teacher and the critic: the same text, strength and frames, as each one's DINO sees them.
    """

    x: Tensor
    held: int
    teacher: Conditions
    critic: Conditions


class Dmd(TaughtPhase[DmdRun]):
    """Student, critic and teacher."""

    name = "dmd"
    forces = False

    def __init__(self, config: DmdRun, world: World) -> None:
        super().__init__(config, world)
        self.only_control = not config.dmd.gan.weight
        start = self.teacher_start(config.distil.teacher)
        other = start if config.dmd.critic is None else self.teacher_start(config.dmd.critic)
        self.teacher_dino, self.critic_dino = (
            self.feature_cache.add(start),
            self.feature_cache.add(other),
        )
        self.real = self.teacher(start)
        self.critic = build_denoiser(
            other.config, world, other, control=True, trains=lambda name: True, kind=CausalDenoiser
        )
        self.adversary: Adversary | None = None
        if config.dmd.gan.weight:
            self.adversary = self._heads(start.preset.dit.dim, start.preset.dit.layers)

    def _heads(self, width: int, layers: int) -> Adversary:
        gan = self.config.dmd.gan
        check_blocks(gan.blocks, layers)
        with seeded(self.config.start.seed):
            adversary = Adversary(width, gan.blocks)
        return self.world.replicated(adversary.to(self.world.device))

    @classmethod
    def check(cls, config: DmdRun) -> None:
        """Scored clips are no longer than samples."""
        super().check(config)
        if config.data.scenes is not None and config.dmd.gan.weight:
            raise ValueError(
                "dmd.gan compares with fine video, which data.scenes have none of; leave out one "
                "of them"
            )
        if config.dmd.gan.weight and config.distil.teacher_is_away:
            raise ValueError(
                "dmd.gan goes back through the teacher's blocks, which distil.teacher_on cpu and "
                "distil.teacher_ranks have sent away; leave out one of them"
            )
        config.dmd.check_clip(config.latents)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        parts: dict[str, nn.Module] = {STUDENT: self.student, CRITIC: self.critic}
        return parts if self.adversary is None else parts | {ADVERSARY: self.adversary}

    def optim(self, part: str) -> OptimConfig:
        """The run's own for the student; others have their rates and no EMA."""
        own, dmd = self.config.optim, self.config.dmd
        if part == STUDENT:
            return own
        return replace(own, lr=dmd.critic_lr if part == CRITIC else dmd.gan.lr, ema=0.0)

    def turn(self, step: int) -> str:
        """The critic so many times, the heads once if there are any, the student."""
        judges = 0 if not self.config.dmd.gan.weight else 1
        place = step % (self.config.dmd.critic_updates + judges + 1)
        if place < self.config.dmd.critic_updates:
            return CRITIC
        return ADVERSARY if place < self.config.dmd.critic_updates + judges else STUDENT

    def losses(self, batch: Batch, step: int) -> Losses:
        """The loss of the part whose turn it is."""
        batch, part = batch.to(self.world.device), self.turn(step)
        with nullcontext() if part == STUDENT else torch.no_grad():
            scored = self.rolled(batch, draw_rollout_plan(self.config, self.config.dmd, step))
        if part == CRITIC:
            return self._critic_losses(scored, batch)
        if part == ADVERSARY:
            return self._adversary_losses(scored, batch)
        return self._student_losses(scored, batch)

    def rolled(self, batch: Batch, plan: RolloutPlan) -> Scored:
        """The student's stream, and the part of it that is scored, with everyone's conditions."""
        count = frames_of(range(plan.latents)).stop
        features, kept = self.feature_cache.features(batch, count), self.kept(batch)
        frames = ping_pong_indices(self.config.frames, count).to(self.world.device)
        given = self.conditions(batch, kept, features[self.own_dino][:, frames])
        stream = self.student.roll(
            self.config.model,
            plan,
            self.seeds(batch.draws),
            given.text,
            features=given.features,
            strength=given.strength,
        )
        x, window = self._clip(stream, plan.scored)
        others = [
            self.conditions(batch, kept, features[key][:, frames[window]])
            for key in (self.teacher_dino, self.critic_dino)
        ]
        return Scored(x, x.shape[1] - len(plan.scored), *others)

    def _clip(self, stream: Tensor, scored: range) -> tuple[Tensor, slice]:
        """A clip as the teacher knows them, one frame in its first latent, and its pixel frames.

        From the middle of a stream that first latent is the frame before it, encoded alone: a
        latent of four frames in that place would be like nothing that the teacher was trained on.
        """
        window = frames_of(scored)
        if not scored.start:
            return stream[:, : scored.stop], window
        with torch.no_grad():
            before = stream[:, max(0, scored.start - RUN_IN) : scored.start]
            frame = self.encoders.vae.decode(before)[:, -1:]
            first = self.encoders.vae.encode(frame).float()
        clip = torch.cat([first, stream[:, scored.start : scored.stop]], dim=1)
        return clip, slice(window.start - 1, window.stop)

    def _noised(self, x: Tensor, batch: Batch, purpose: str) -> tuple[Tensor, Tensor, Tensor]:
        """A clip noised, the noise, and the levels `[B]`."""
        config = self.config
        levels = score_levels(
            config.dmd, config.flow.shift, config.seed, batch.draws, f"{purpose} level"
        ).to(x.device)
        drawn = noise(config.seed, batch.draws, tuple(x.shape[1:]), purpose).to(x.device)
        return add_noise(x, drawn, levels[:, None, None, None, None]), drawn, levels

    def _critic_losses(self, scored: Scored, batch: Batch) -> Losses:
        """Flow matching of what the student makes."""
        noisy, drawn, levels = self._noised(scored.x, batch, "score")
        given = scored.critic
        velocity = self.critic(
            noisy,
            TRAIN_STEPS * levels,
            given.text,
            features=given.features,
            strength=given.strength,
        )
        target = drawn - scored.x
        samples = sample_losses(velocity[:, scored.held :], target[:, scored.held :])
        return Losses(samples.mean(), samples.detach(), levels, batch.sources)

    def _student_losses(self, scored: Scored, batch: Batch) -> Losses:
        """Distribution matching, and the adversarial term."""
        with torch.no_grad():
            noisy, _, levels = self._noised(scored.x, batch, "score")
            real = self.real.clean(noisy, levels, scored.teacher)
            fake = score(self.critic, noisy, levels, scored.critic)
        x = scored.x[:, scored.held :]
        gradient = matching_gradient(x.detach(), real[:, scored.held :], fake[:, scored.held :])
        samples = matching_losses(x, gradient)
        if self.adversary is not None:
            verdicts = self._verdicts(scored.x, scored.teacher, batch, learn=False)
            samples = samples + self.config.dmd.gan.weight * student_losses(verdicts)
        return Losses(samples.mean(), samples.detach(), levels, batch.sources)

    def _adversary_losses(self, scored: Scored, batch: Batch) -> Losses:
        """The heads on real clips and the student's."""
        clip = range(self.config.dmd.clip or self.config.latents)
        clean = self.encoders.latents(batch)[:, : clip.stop]
        features = self.feature_cache.features(batch, frames_of(clip).stop)[self.teacher_dino]
        given = self.conditions(batch, self.kept(batch), features)
        real = self._verdicts(clean, given, batch)
        samples = judge_losses(real, self._verdicts(scored.x, scored.teacher, batch))
        levels = torch.zeros_like(samples)
        return Losses(samples.mean(), samples.detach(), levels, batch.sources)

    def _verdicts(
        self, x: Tensor, given: Conditions, batch: Batch, *, learn: bool = True
    ) -> Tensor:
        """Of the heads. Without `learn` they get no gradient: it would stay until their own turn
        and be added to theirs.
        """
        assert self.adversary is not None
        assert isinstance(self.real, Teacher)
        noisy, _, levels = self._noised(x, batch, "judged")
        tokens = tokens_after(self.real.denoiser, self.adversary.blocks, noisy, levels, given)
        if learn:
            return self.adversary(tokens)
        fixed = {name: value.detach() for name, value in self.adversary.named_parameters()}
        return functional_call(self.adversary, fixed, (tokens,))
