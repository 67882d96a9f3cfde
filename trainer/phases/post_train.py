"""Adversarial post-training on the student's own streams, from pairs, without a teacher.

The student streams by the code that serves (`c2r.streaming.rollout`) and ends each scored chunk at
its exit step, as in phase dmd; gradients go through that step alone. What it made is compared with
the fine clip of the same scene: the latents, and crops of the decoded frames by LPIPS and a patch
discriminator that sees the coarse frame as well (adversarial post-training; Lin et al., 2025,
arXiv:2501.08316, there without pairs). The decoder is frozen, guided by the coarse frames where the
renderer's is, so the loss is on the frames that a player gets.

It stands before dmd, or in its place where pairs are many and the teacher is no better than they
are. Longer rollouts play a clip forwards and backwards, as in dmd.

Shapes: B samples, T latents, F pixel frames, H W output rows and columns.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from c2r.models.coarse_frames import dino_frames
from c2r.models.pixels import as_bytes, averaged, unit
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.rollout_plan import (
    RolloutPlan,
    draw_rollout_plan,
    frames_of,
    ping_pong_indices,
)
from trainer.logs.loss_meter import Losses
from trainer.phases.crops import check_crop, draw_crops, latents_of, pixels_of, seen_of
from trainer.phases.flow_matching import Kept
from trainer.phases.frame_losses import JUDGE, FrameLosses, Seen
from trainer.phases.settings import PostTrainRun
from trainer.phases.student_phase import STUDENT, StudentPhase
from trainer.settings import OptimConfig

RUN_IN = 3
"""Latents before the scored ones that encoder and decoder are given, for their memory."""


@dataclass(frozen=True)
class Scored:
    """What a student streamed `[B, T, C, h, w]` from latent `first` on, scored from `scored` on.

    `frames`: the clip's frame that each pixel frame of the stream, from its beginning, shows.
    """

    x: Tensor
    first: int
    scored: range
    frames: Tensor

    @property
    def window(self) -> slice:
        """The stream's pixel frames that the latents of `x` decode to, as a stream of their own."""
        start = frames_of(range(self.first + 1)).stop - 1
        return slice(start, frames_of(range(self.scored.stop)).stop)

    @property
    def skipped(self) -> int:
        """Of those, the frames before the scored latents' own."""
        return frames_of(self.scored).start - self.window.start


class PostTrain(StudentPhase[PostTrainRun]):
    """Student and discriminator."""

    name = "post_train"
    forces = False

    def __init__(self, config: PostTrainRun, world: World) -> None:
        super().__init__(config, world)
        own = config.post_train
        self.losses_of = FrameLosses(
            own.pixels,
            own.judge,
            scale=config.model.output_scale,
            seed=config.start.seed,
            device=world.device,
        )
        if self.losses_of.judge is not None:
            self.losses_of.judge = world.replicated(self.losses_of.judge)

    @classmethod
    def check(cls, config: PostTrainRun) -> None:
        """Pairs with their frames; scored clips no longer than samples; crops of whole latents."""
        super().check(config)
        if config.data.manifest is None:
            raise ValueError("phase post_train compares frames: give data.manifest, not data.cache")
        if config.data.cg_ratio != 1:
            raise ValueError(
                "phase post_train learns from pairs: a real clip is no answer to its own control "
                "in other colours; set data.cg_ratio to 1"
            )
        own = config.post_train
        own.check_clip(config.latents)
        check_crop(own.pixels.crop, config.model.output_scale)

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return self.losses_of.with_judge(super().parts)

    def optim(self, part: str) -> OptimConfig:
        """The run's own for the student; the discriminator has its rate and no EMA."""
        own, judge = self.config.optim, self.config.post_train.judge
        return own if part == STUDENT else replace(own, kind="adamw", lr=judge.lr, ema=0.0)

    def turn(self, step: int) -> str:
        return JUDGE if self.losses_of.judges(step, self.config.steps) else STUDENT

    def losses(self, batch: Batch, step: int) -> Losses:
        """The loss of the part whose turn it is."""
        config, batch, part = self.config, batch.to(self.world.device), self.turn(step)
        plan = draw_rollout_plan(config, config.post_train, step)
        with nullcontext() if part == STUDENT else torch.no_grad():
            scored = self.rolled(batch, plan)
            seen = self.seen(batch, scored)
        if part == STUDENT:
            samples = self.losses_of.of_maker(seen, batch.draws, step, config.steps)
            samples = samples + config.post_train.latents * self.latent_losses(batch, scored)
        else:
            samples = self.losses_of.of_judge(seen, batch.draws)
        return Losses(samples.mean(), samples.detach(), torch.zeros(len(samples)), batch.sources)

    def rolled(self, batch: Batch, plan: RolloutPlan) -> Scored:
        """The student's stream up to the scored latents."""
        frames = ping_pong_indices(self.config.frames, frames_of(range(plan.latents)).stop)
        frames = frames.to(self.world.device)
        given = self.conditions(batch, self.kept(batch), self._features(batch)[:, frames])
        stream = self.student.roll(
            self.config.model,
            plan,
            self.seeds(batch.draws),
            given.text,
            features=given.features,
            strength=given.strength,
        )
        first = max(0, plan.scored.start - RUN_IN)
        return Scored(stream[:, first : plan.scored.stop], first, plan.scored, frames)

    def latent_losses(self, batch: Batch, scored: Scored) -> Tensor:
        """Of the scored latents, `[B]`."""
        held = scored.scored.start - scored.first
        x, target = scored.x[:, held:].float(), self.target(batch, scored)[:, held:]
        apart = x - target
        each = apart.abs() if self.config.post_train.error == "l1" else apart.square()
        return each.flatten(1).mean(1)

    @torch.no_grad()
    def target(self, batch: Batch, scored: Scored) -> Tensor:
        """The encoder's latents of the fine frames that `scored.x` should show."""
        assert batch.frames is not None
        shown = unit(batch.frames[:, scored.frames[scored.window]])
        small = averaged(shown, self.config.model.output_scale)
        return self.encoders.vae.encode(small).float()

    def seen(self, batch: Batch, scored: Scored) -> Seen:
        """A decoded crop of each sample, of the scored latents' frames."""
        assert batch.frames is not None
        assert batch.control is not None
        assert batch.motion is not None
        config = self.config
        size = config.post_train.pixels.crop
        crops = draw_crops(size, config.model, config.seed, batch.draws)
        frames = scored.frames[scored.window]
        coarse = unit(pixels_of(crops, batch.control[:, frames]))
        output = self._decoded(latents_of(crops, scored.x), coarse)
        fine = unit(pixels_of(crops, batch.frames[:, frames]))
        motion = pixels_of(crops, along(batch.motion, frames))
        output, fine, coarse, motion = (
            seen_of(crops, clip[:, scored.skipped :]) for clip in (output, fine, coarse, motion)
        )
        return Seen(output, fine, coarse, motion)

    def _decoded(self, latents: Tensor, coarse: Tensor) -> Tensor:
        """Frames float32 in [0, 1], with gradients in the latents."""
        guide = coarse if self.config.model.guided else None
        return self.encoders.vae.decode(latents, guide).float()

    @torch.no_grad()
    def _features(self, batch: Batch) -> Tensor:
        """DINO's tokens of the coarse frames at the DiT's size, `[B, F, N, Dd]`."""
        assert batch.control is not None
        # As serving does it; the guided decoder's coarse frames are larger than DINO's.
        shown = replace(batch, control=dino_frames(batch.control, self.config.model))
        return self.feature_cache.features(shown)[self.own_dino]

    @torch.no_grad()
    def sample_frames(self, batch: Batch) -> Tensor:
        """The stream of the weights as they are, decoded as served."""
        batch = batch.to(self.world.device)
        assert batch.control is not None
        whole = Kept(torch.ones(len(batch.draws)), torch.ones(len(batch.draws)))
        given = self.conditions(batch, whole, self._features(batch))
        clean = self.student.roll(
            self.config.model,
            RolloutPlan(self.config.latents, range(0)),
            self.seeds(batch.draws),
            given.text,
            features=given.features,
            strength=given.strength,
        )
        return as_bytes(self._decoded(clean, unit(batch.control))).cpu()

    def decoded(self, batch: Batch) -> Tensor:
        """The clips as they are, `[B, F, 3, H, W]` uint8 on the CPU."""
        assert batch.frames is not None
        return batch.frames.cpu()


def along(motion: Tensor, frames: Tensor) -> Tensor:
    """Motion `[B, F, 2, H, W]` of a clip for frames of it in another order, float32.

    NaN where a frame does not follow its predecessor in the clip: played backwards, points move to
    where they will be, which is not known.
    """
    picked = motion[:, frames].float()
    follows = torch.ones(len(frames), dtype=torch.bool, device=frames.device)
    follows[1:] = frames.diff() == 1
    return torch.where(follows[:, None, None, None], picked, torch.nan)
