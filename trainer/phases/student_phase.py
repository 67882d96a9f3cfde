"""What the phases that make a causal student share: the student, its start, its samples.

Shapes: B samples, T latents, F pixel frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from c2r.models.attention import LatentMask
from c2r.models.configs import Preset
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.feature_cache import FeatureCache
from trainer.distill.provenance import PROVENANCE_FILE, provenance
from trainer.distill.rollout_plan import RolloutPlan, frames_of
from trainer.distill.student import CausalDenoiser, forcing_mask
from trainer.distill.student_init import StudentStart
from trainer.distill.teacher import Conditions
from trainer.networks.assemble import build_denoiser
from trainer.networks.encoders import Encoders
from trainer.networks.renderer import write_renderer
from trainer.phases.flow_matching import Kept, draw_kept
from trainer.sample_random import plain_random
from trainer.settings import OptimConfig, TrainConfig

STUDENT = "student"
Run = TypeVar("Run", bound=TrainConfig)


class StudentPhase(Generic[Run]):
    """A causal student in training; see `Phase` for the interface."""

    name = ""
    needs_control = True
    only_control = False
    forces = True
    """Whether the student's past is the clip's (teacher forcing), not its own."""

    def __init__(self, config: Run, world: World) -> None:
        self.check(config)
        self.config, self.world = config, world
        self.start = StudentStart(config)
        self.encoders = Encoders(config, world, self.start, control=False)
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        # Videos of another size are cut again for every sample; caches and pairs are not.
        repeats = config.data.cache is not None or config.reader == "pairs"
        kept = config.data.keep_gib * 2**30 if repeats else 0.0
        self.feature_cache = FeatureCache(world.device, dtype, kept)
        self.own_dino = self.feature_cache.add(self.start)
        self.student = build_denoiser(
            config, world, self.start, control=True, trains=lambda name: True, kind=CausalDenoiser
        )

    @classmethod
    def check(cls, config: Run) -> None:
        """`ValueError` for settings that this phase cannot have."""
        if config.model.control.kind == "none":
            raise ValueError(
                f"phase {cls.name} makes a student that follows control, but model.control.kind "
                "is none; start from a grounded renderer"
            )
        stream, latents = config.model.stream, config.latents
        if stream.first_chunk not in (None, stream.chunk):
            raise ValueError(
                "model.stream.first_chunk is for serving; students train on equal chunks, so leave "
                "it out and give it to the server"
            )
        if cls.forces and stream.sink and latents > stream.window:
            raise ValueError(
                f"a sample of {latents} latents is longer than model.stream.window "
                f"{stream.window}, and its end would see the sink from farther away than a stream "
                f"ever does; set data.frames to {frames_of(range(stream.window)).stop} or sink to 0"
            )
        if config.parallel.context > 1:
            raise ValueError(
                f"phase {cls.name} has no context parallelism: a K/V cache holds all tokens; set "
                "parallel.context to 1 and shard instead"
            )

    @property
    def parts(self) -> Mapping[str, nn.Module]:
        return {STUDENT: self.student}

    def optim(self, part: str) -> OptimConfig:
        return self.config.optim

    def turn(self, step: int) -> str:
        return STUDENT

    @cached_property
    def mask(self) -> LatentMask:
        return forcing_mask(self.config)

    def kept(self, batch: Batch) -> Kept:
        """Which conditions the batch's samples keep."""
        return draw_kept(self.config.data, self.config.seed, batch.draws)

    def conditions(self, batch: Batch, kept: Kept, features: Tensor) -> Conditions:
        """Text, control and its strength: 0 where it is dropped."""
        device = self.world.device
        with_text = kept.text.to(device)[:, None, None].bool()
        text = torch.where(with_text, self.encoders.text(batch), self.encoders.empty.float())
        negative = self.encoders.negative.float().expand(len(batch.draws), -1, -1)
        return Conditions(text, negative, features, kept.control.to(device))

    def forced(
        self, context: Tensor, noisy: Tensor, levels: Tensor, given: Conditions, level: float
    ) -> Tensor:
        """The student's velocity of every noisy block after its past, `context` at `level`."""
        return self.student.forced(
            context,
            noisy,
            levels,
            given.text,
            self.mask,
            features=given.features,
            strength=given.strength,
            context=level,
        )

    def seeds(self, draws: Sequence[int]) -> list[int]:
        """A stream's seed for each sample."""
        return [plain_random(self.config.seed, draw, "stream").getrandbits(63) for draw in draws]

    def shown(self) -> Preset:
        """The preset that samples are made with: as it is served."""
        return self.config.model

    @torch.no_grad()
    def sample_frames(self, batch: Batch) -> Tensor:
        """The stream of the weights as they are, not of their EMA."""
        batch = batch.to(self.world.device)
        features = self.feature_cache.features(batch)[self.own_dino]
        whole = Kept(torch.ones(len(batch.draws)), torch.ones(len(batch.draws)))
        given = self.conditions(batch, whole, features)
        clean = self.student.roll(
            self.shown(),
            RolloutPlan(self.config.latents, range(0)),
            self.seeds(batch.draws),
            given.text,
            features=given.features,
            strength=given.strength,
        )
        return self.encoders.decode(clean)

    @torch.no_grad()
    def decoded(self, batch: Batch) -> Tensor:
        """What the VAE makes of the batch's own latents."""
        return self.encoders.decode(self.encoders.latents(batch.to(self.world.device)))

    @property
    def learned_from(self) -> Path | None:
        """The teacher's folder, for the student's provenance; None: clips alone."""
        return None

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """The whole renderer as a folder that `--weights` takes, with its provenance."""
        if part == STUDENT:
            notes = {PROVENANCE_FILE: provenance(self.config, self.learned_from)}
            folder = self.config.folder / "renderer"
            write_renderer(self.config, self.start, weights, folder, notes)
