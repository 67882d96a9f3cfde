"""Settings of the distillation phases; knows no tensors. Defaults of a source are named there."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from c2r.models.configs import check_positive
from c2r.streaming.guidance import GuidanceConfig


def _teacher_guidance() -> GuidanceConfig:
    return GuidanceConfig(kind="cfg", control_scale=1.0, text_scale=4.0)


@dataclass(frozen=True)
class DistilConfig:
    """What the student learns from.

    `teacher`: a renderer's folder; null: the one that the student starts from (`start.folder`).
    `guidance`: of the teacher, in ordinary terms of classifier-free guidance,
    `v00 + control_scale (vC0 - v00) + text_scale (vCT - vC0)`: scales of 1 and 1 change nothing,
    and Self-Forcing's "3.0" is a text_scale of 4. `steps`: noise levels of the teacher's path from
    noise to clean (N of consistency distillation, Euler steps of ODE regression).
    `teacher_on`: "cpu" keeps the teacher's blocks in main memory, each on the device for its turn
    only; on several processes the teacher is sharded like everything else. `teacher_ranks`: the
    last so many of torchrun's processes hold the teacher and nothing else, sharded over them, and
    answer the others; 0: the student's processes hold it. `least_agreement`: with
    another VAE than the teacher's, what both VAEs' latents of one clip must have in common, 1 being
    equality (`trainer.distill.compatibility.latent_agreement`).
    """

    teacher: Path | None = None
    teacher_on: Literal["device", "cpu"] = "device"
    teacher_ranks: int = 0
    guidance: GuidanceConfig = field(default_factory=_teacher_guidance)
    steps: int = 48
    least_agreement: float = 0.8

    def __post_init__(self) -> None:
        check_positive(self, "steps")
        if self.teacher_ranks < 0:
            raise ValueError(f"distil.teacher_ranks is {self.teacher_ranks}; give 0 or more")
        if self.teacher_ranks and self.teacher_on == "cpu":
            raise ValueError(
                "distil.teacher_on cpu is for a teacher in the student's own process; leave it or "
                "distil.teacher_ranks out"
            )
        if self.guidance.kind not in ("none", "cfg"):
            raise ValueError(
                f"distil.guidance.kind is {self.guidance.kind!r}; a teacher's scores are guided by "
                "'cfg' or not at all ('none')"
            )

    @property
    def teacher_is_away(self) -> bool:
        """Whether the teacher's blocks are elsewhere than the student's."""
        return self.teacher_on == "cpu" or self.teacher_ranks > 0


@dataclass(frozen=True)
class GanConfig:
    """Adversarial term of phase dmd on the frozen teacher's features; `weight` 0: none.

    `blocks`: after which blocks of the teacher's DiT there is a head. `lr`: of the heads.
    """

    weight: float = 0.0
    blocks: tuple[int, ...] = (3, 7)
    lr: float = 1e-4


@dataclass(frozen=True)
class RolloutConfig:
    """How long the student's own rollouts are in training.

    `clip`: latents of a scored clip; 0: those of a sample. `longest`: latents of the longest
    rollout, 0: those of a clip; longer ones begin at step `grow_from` and reach it at `grow_until`;
    then `from_start` is the share of rollouts whose first latents are scored, as they all are
    before.
    """

    SECTION: ClassVar[str] = "rollout"

    clip: int = 0
    longest: int = 0
    grow_from: int = 0
    grow_until: int = 0
    from_start: float = 0.5

    def __post_init__(self) -> None:
        if min(self.clip, self.longest, self.grow_from) < 0 or self.grow_until < self.grow_from:
            raise ValueError(
                f"{self.SECTION}.clip, longest and grow_from are 0 or more, grow_until not before"
            )
        if not 0 <= self.from_start <= 1:
            raise ValueError(f"{self.SECTION}.from_start is {self.from_start}; it must be 0 to 1")

    def check_clip(self, latents: int) -> None:
        """Raise `ValueError` unless scored clips are no longer than samples of `latents`."""
        if self.clip > latents:
            raise ValueError(
                f"{self.SECTION}.clip is {self.clip} latents, a sample has {latents}; lower it "
                "or raise data.frames"
            )


@dataclass(frozen=True)
class DmdConfig(RolloutConfig):
    """Distribution matching (DMD). Defaults of rates, levels and ratio: Self-Forcing's.

    `critic`: the renderer's folder that the fake score starts from; null: the teacher's.
    `critic_updates`: of the critic for each of the student. `lowest`, `highest`: timesteps that
    scores are asked at, after `flow.shift`. Scored clips are as long as the teacher's.
    """

    SECTION: ClassVar[str] = "dmd"

    critic: Path | None = None
    critic_lr: float = 4e-7
    critic_updates: int = 5
    lowest: float = 20.0
    highest: float = 980.0
    gan: GanConfig = field(default_factory=GanConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_positive(self, "critic_lr", "critic_updates", "lowest")
        if not self.lowest < self.highest <= 1000:
            raise ValueError(
                f"dmd.lowest {self.lowest} and dmd.highest {self.highest} must be timesteps, the "
                "first below the second and both at most 1000"
            )
