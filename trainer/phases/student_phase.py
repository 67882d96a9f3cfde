"""What the phases that make a causal student share: the student, its start, its pictures.

Shapes: B samples, T latents, F pixel frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from c2r.models.attention import LatentMask
from c2r.models.configs import Preset
from trainer.data.batch import Batch
from trainer.dist.parallel import World
from trainer.distill.compatibility import check_spaces
from trainer.distill.feature_cache import Sight
from trainer.distill.provenance import STORY_FILE, read_story, story
from trainer.distill.remote import RemoteTeacher
from trainer.distill.rollout_plan import RolloutPlan, frames_of
from trainer.distill.student import CausalDenoiser, forcing_mask
from trainer.distill.student_init import StudentStart
from trainer.distill.teacher import Conditions, Teacher, keep_on_cpu
from trainer.flow_matching import Kept, draw_kept
from trainer.networks.assemble import build_denoiser, frozen_denoiser
from trainer.networks.encoders import Encoders
from trainer.networks.renderer import write_renderer
from trainer.networks.start import Start, start_of
from trainer.sample_random import plain_random
from trainer.settings import OptimConfig, TrainConfig

STUDENT = "student"


class StudentPhase:
    """A causal student in training; see `Phase` for the interface."""

    name = ""
    needs_control = True
    only_control = False
    forces = True
    """Whether the student's past is the clip's (teacher forcing), not its own."""

    def __init__(self, config: TrainConfig, world: World) -> None:
        self.check(config)
        self.config, self.world = config, world
        self.start = StudentStart(config)
        self.encoders = Encoders(config, world, self.start, control=False)
        dtype = torch.bfloat16 if config.precision == "bf16" else torch.float32
        # Only a cache gives a clip the same frames every time.
        kept = config.data.keep_gib * 2**30 if config.data.cache is not None else 0.0
        self.sight = Sight(world.device, dtype, kept)
        self.own_sight = self.sight.add(self.start)
        self.student = build_denoiser(
            config, world, self.start, control=True, trains=lambda name: True, kind=CausalDenoiser
        )

    @classmethod
    def check(cls, config: TrainConfig) -> None:
        """`ValueError` for settings that this phase cannot have."""
        if config.model.control.kind == "none":
            raise ValueError(
                f"phase {cls.name} makes a student that follows control, but model.control.kind "
                "is none; start from a grounded renderer"
            )
        if config.lora is not None:
            raise ValueError(f"lora is for phase align; phase {cls.name} trains the whole student")
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
        """The student."""
        return {STUDENT: self.student}

    def optim(self, part: str) -> OptimConfig:
        """The run's own."""
        return self.config.optim

    def turn(self, step: int) -> str:
        """Always the student."""
        return STUDENT

    @cached_property
    def mask(self) -> LatentMask:
        """Of teacher forcing."""
        return forcing_mask(self.config)

    def teacher_start(self, folder: Path | None) -> Start:
        """The renderer in `folder`, or the one that the student starts from, which must share the
        student's spaces.
        """
        chosen = folder or self.config.start.folder
        if chosen is None:
            raise ValueError(
                f"phase {self.name} needs a teacher: name distil.teacher, a renderer's folder"
            )
        found = start_of(self.config, chosen)
        if found.preset.control.kind == "none":
            raise ValueError(
                f"the teacher in {chosen} has no control; ground it first (phase ground)"
            )
        if not self.forces and (past := read_story(chosen)) is not None:
            raise ValueError(
                f"the teacher in {chosen} looks back only (phase {past['phase']}), and whole clips "
                "are to be scored; name distil.teacher, a renderer of phase ground"
            )
        check_spaces(self.start, found, "teacher", self.config.distil.least_agreement)
        return found

    def teacher(self, start: Start) -> Teacher | RemoteTeacher:
        """The frozen teacher: here, sharded, in main memory or on processes of its own."""
        config = start.config
        if self.world.link is not None:
            return RemoteTeacher(self.world.link, self.world.rank, self.world.device)
        if config.distil.teacher_on == "cpu" and self.world.mesh is not None:
            raise ValueError(
                "distil.teacher_on cpu is for one process; on several the teacher is sharded"
            )
        away = config.distil.teacher_on == "cpu"
        denoiser = frozen_denoiser(config, self.world, start, CausalDenoiser, moved=not away)
        if away:
            keep_on_cpu(denoiser, self.world.device)
        return Teacher(denoiser, config.distil.guidance)

    def kept(self, batch: Batch) -> Kept:
        """Which conditions the batch's samples keep."""
        return draw_kept(self.config.data, self.config.seed, batch.draws)

    def conditions(self, batch: Batch, kept: Kept, features: Tensor) -> Conditions:
        """Text, control and its strength: 0 where it is dropped."""
        device = self.world.device
        with_text = kept.text.to(device)[:, None, None].bool()
        empty = self.encoders.empty.float().expand(len(batch.draws), -1, -1)
        text = torch.where(with_text, self.encoders.text(batch), empty)
        return Conditions(text, empty, features, kept.control.to(device))

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
        """The renderer as pictures are made by it: as it is served."""
        return self.config.model

    @torch.no_grad()
    def pictures(self, batch: Batch) -> Tensor:
        """The stream of the weights as they are, not of their EMA."""
        batch = batch.to(self.world.device)
        features = self.sight.look(batch)[self.own_sight]
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
        return self.encoders.pictures(clean)

    @torch.no_grad()
    def decoded(self, batch: Batch) -> Tensor:
        """What the VAE makes of the batch's own latents."""
        return self.encoders.pictures(self.encoders.latents(batch.to(self.world.device)))

    @property
    def learned_from(self) -> Path | None:
        """The teacher's folder, for the student's story; None: clips alone."""
        return self.config.distil.teacher or self.config.start.folder

    def finished(self, part: str, weights: Mapping[str, Tensor]) -> None:
        """The whole renderer as a folder that `--weights` takes, with how it was made."""
        if part == STUDENT:
            notes = {STORY_FILE: story(self.config, self.learned_from)}
            folder = self.config.folder / "renderer"
            write_renderer(self.config, self.start, weights, folder, notes)
