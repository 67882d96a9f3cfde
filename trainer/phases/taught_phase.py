"""What phases consistency, regress and dmd share: a frozen teacher, checked and placed.

Shapes: B samples, T latents.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from c2r.models.configs import StreamConfig
from c2r.streaming.schedule import few_step_levels, many_step_levels
from trainer.dist.parallel import World
from trainer.distill.compatibility import check_compatible
from trainer.distill.provenance import read_provenance
from trainer.distill.remote import RemoteTeacher
from trainer.distill.student import CausalDenoiser
from trainer.distill.teacher import Teacher, keep_on_cpu
from trainer.networks.assemble import frozen_denoiser
from trainer.networks.start import Start, start_of
from trainer.phases.settings import TaughtRun
from trainer.phases.student_phase import StudentPhase

Run = TypeVar("Run", bound=TaughtRun)


class TaughtPhase(StudentPhase[Run]):
    """A student that learns from a teacher."""

    def teacher_start(self, folder: Path | None) -> Start:
        """The renderer in `folder`, or the one that the student starts from; `ValueError` unless it
        is compatible with the student.
        """
        chosen = folder or self.config.start.folder
        if chosen is None:
            raise ValueError(
                f"phase {self.name} needs a teacher: name distil.teacher, a renderer's folder"
            )
        start = start_of(self.config, chosen)
        if start.preset.control.kind == "none":
            raise ValueError(
                f"the teacher in {chosen} has no control; ground it first (phase ground)"
            )
        if not self.forces and (past := read_provenance(chosen)) is not None:
            raise ValueError(
                f"the teacher in {chosen} is causal (phase {past['phase']}), and whole clips "
                "are to be scored; name distil.teacher, a renderer of phase ground"
            )
        check_compatible(self.start, start, "teacher", self.config.distil.least_agreement)
        return start

    def teacher(self, start: Start) -> Teacher | RemoteTeacher:
        """The frozen teacher: here, sharded, in main memory or in its own process group."""
        config, distil = start.config, self.config.distil
        if self.world.link is not None:
            return RemoteTeacher(self.world.link, self.world.rank, self.world.device)
        if distil.teacher_on == "cpu" and self.world.mesh is not None:
            raise ValueError(
                "distil.teacher_on cpu is for one process; on several the teacher is sharded"
            )
        away = distil.teacher_on == "cpu"
        denoiser = frozen_denoiser(config, self.world, start, CausalDenoiser, moved=not away)
        if away:
            keep_on_cpu(denoiser, self.world.device)
        return Teacher(denoiser, distil.guidance)

    @property
    def learned_from(self) -> Path | None:
        return self.config.distil.teacher or self.config.start.folder


class PathPhase(TaughtPhase[TaughtRun]):
    """A student that learns from a causal teacher's path from noise to clean."""

    def __init__(self, config: TaughtRun, world: World) -> None:
        super().__init__(config, world)
        start = self.teacher_start(config.distil.teacher)
        self.teacher_dino = self.feature_cache.add(start)
        self.path_teacher = self.teacher(start)

    @classmethod
    def check(cls, config: TaughtRun) -> None:
        """The path must have the student's levels."""
        super().check(config)
        places_on_path(config.model.stream, config.distil.steps)


def served_levels(stream: StreamConfig) -> tuple[float, ...]:
    """Every noise level that a student is served at, highest first."""
    both = few_step_levels(stream.timesteps, stream.shift)
    first = few_step_levels(stream.first_timesteps or stream.timesteps, stream.shift)
    return tuple(sorted({*both, *first}, reverse=True))


def places_on_path(stream: StreamConfig, steps: int) -> tuple[int, ...]:
    """Where a teacher's path of so many steps has those levels; `ValueError` if it has not."""
    path = many_step_levels(steps, stream.shift)
    places = []
    for level in served_levels(stream):
        place = min(range(steps), key=lambda number: abs(path[number] - level))
        if abs(path[place] - level) > 1e-6:
            raise ValueError(
                f"a path of distil.steps {steps} has no level {level:.4f}, which the student is "
                "served at; choose a multiple of 4 for timesteps such as 1000, 750, 500, 250"
            )
        places.append(place)
    return tuple(places)
