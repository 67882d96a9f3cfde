"""The sections of the configuration that single phases own, and the schema of each phase.

A schema is what all phases share (`trainer.settings.TrainConfig`) and the phase's own sections, so
a setting of another phase has no place in it. The sections of distillation are in
`trainer.distill.settings`; knows no tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from c2r.models.configs import check_positive
from trainer.distill.settings import DistilConfig, DmdConfig, RolloutConfig
from trainer.settings import TrainConfig, check_share


@dataclass(frozen=True)
class AutoencodeConfig:
    """Phase autoencode. `learns`: the whole VAE, or its decoder alone, for latents that caches and
    DiTs already know. `crop`: side of the square crops in pixels, 0 for whole frames. `noise`:
    standard deviation added to latents before decoding. `gradient`, `halves`, `moments`: weights
    of losses.
    """

    learns: Literal["all", "decoder"] = "all"
    crop: int = 128
    noise: float = 0.1
    gradient: float = 1.0
    halves: float = 0.5
    moments: float = 0.1


@dataclass(frozen=True)
class JudgeConfig:
    """A patch discriminator on output frames, conditioned on the coarse ones; `weight` 0: none.

    `begin`: share of the steps after which it takes part. From then on every `every`-th step is its
    own. `lr`, `width`: its learning rate and channels. `smooth`: weight of the squared movement of
    its verdicts when noise of deviation `moved` is added to real frames.
    """

    weight: float = 0.05
    begin: float = 0.3
    every: int = 3
    lr: float = 2e-4
    width: int = 32
    smooth: float = 10.0
    moved: float = 0.05

    def __post_init__(self) -> None:
        check_positive(self, "lr", "width", "moved")
        check_share(self, "begin")
        if self.every < 2:
            raise ValueError(
                f"judge.every is {self.every}: every step would be the discriminator's; give 2 or "
                "more, or set judge.weight to 0"
            )


@dataclass(frozen=True)
class PixelLossConfig:
    """Losses on output frames. `l1`, `perceptual` (LPIPS at two scales), `motion` (how differently
    the frames change along the engine's motion), `grid` (a pattern that the errors repeat in every
    latent's pixels): weights, 0 for none. `crop`: side of the crops that are decoded, in output
    pixels, a whole number of latents; 0 for whole frames. `looked_at`: frames of each sample, drawn
    at random, that the perceptual loss and the discriminator see.
    `alexnet`: file of the perceptual network's weights; null: those of the installed package.
    """

    l1: float = 2.0
    perceptual: float = 1.0
    motion: float = 0.5
    grid: float = 2.0
    crop: int = 144
    looked_at: int = 2
    alexnet: Path | None = None

    def __post_init__(self) -> None:
        check_positive(self, "looked_at")


@dataclass(frozen=True)
class GuideRunConfig:
    """Phase guide. `student`: the renderer whose streamed latents are decoded in `student_share` of
    the samples, null: the one that the run starts from; they are kept in `streamed`. The others are
    the encoder's latents with noise of deviation `noise`. `dropout`: share of samples without
    coarse frames.
    """

    student: Path | None = None
    student_share: float = 0.5
    streamed: Path = Path("out/streamed")
    noise: float = 0.4
    dropout: float = 0.1
    pixels: PixelLossConfig = field(default_factory=PixelLossConfig)
    judge: JudgeConfig = field(default_factory=JudgeConfig)

    def __post_init__(self) -> None:
        check_share(self, "student_share", "dropout")


def _few_pixels() -> PixelLossConfig:
    return PixelLossConfig(l1=1.0, perceptual=1.0, motion=0.0)


def _early_judge() -> JudgeConfig:
    return JudgeConfig(begin=0.0)


@dataclass(frozen=True)
class PostTrainConfig(RolloutConfig):
    """Phase post_train. `latents`: weight of the error of scored latents to the fine clip's,
    `error`: its mean absolute or mean squared value. `pixels`, `judge`: losses on decoded crops.
    """

    SECTION: ClassVar[str] = "post_train"

    latents: float = 1.0
    error: Literal["l1", "l2"] = "l1"
    pixels: PixelLossConfig = field(default_factory=_few_pixels)
    judge: JudgeConfig = field(default_factory=_early_judge)


@dataclass(frozen=True)
class FlowConfig:
    """Flow matching: how noise levels are drawn. `mean` and `std` are of the logit.

    `pure_noise`: share of the samples at level 1, where control and text alone say what is there.
    `loss`: mean squared error of the velocity, or of the clean latents it leads to, which is that
    of the velocity times the squared level: what a few-step student is judged by.
    """

    shift: float = 5.0
    levels: Literal["logit_normal", "uniform"] = "logit_normal"
    mean: float = 0.0
    std: float = 1.0
    pure_noise: float = 0.0
    loss: Literal["velocity", "clean"] = "velocity"

    def __post_init__(self) -> None:
        check_positive(self, "shift", "std")
        check_share(self, "pure_noise")


@dataclass(frozen=True)
class LoraConfig:
    """Low-rank updates (peft) in place of the whole DiT. `targets`: ends of the layers' names."""

    rank: int = 64
    alpha: int = 64
    targets: tuple[str, ...] = ("q", "k", "v", "o", "ffn.0", "ffn.2")

    def __post_init__(self) -> None:
        check_positive(self, "rank", "alpha")


@dataclass(frozen=True)
class AutoencodeRun(TrainConfig):
    """Of phase autoencode."""

    autoencode: AutoencodeConfig = field(default_factory=AutoencodeConfig)


@dataclass(frozen=True)
class GuideRun(TrainConfig):
    """Of phase guide."""

    reader: ClassVar[Literal["windows", "pairs"]] = "pairs"

    guide: GuideRunConfig = field(default_factory=GuideRunConfig)


@dataclass(frozen=True)
class PostTrainRun(TrainConfig):
    """Of phase post_train."""

    reader: ClassVar[Literal["windows", "pairs"]] = "pairs"

    post_train: PostTrainConfig = field(default_factory=PostTrainConfig)


@dataclass(frozen=True)
class FlowRun(TrainConfig):
    """Of the phases that learn by flow matching: ground, autoregress, and more in others."""

    flow: FlowConfig = field(default_factory=FlowConfig)


@dataclass(frozen=True)
class AlignRun(FlowRun):
    """Of phase align. `lora` None: the whole DiT trains."""

    lora: LoraConfig | None = None


@dataclass(frozen=True)
class TaughtRun(TrainConfig):
    """Of the phases that learn from a teacher: consistency, regress, and more in dmd."""

    distil: DistilConfig = field(default_factory=DistilConfig)


@dataclass(frozen=True)
class DmdRun(TaughtRun):
    """Of phase dmd. Of `flow`, the shift alone: scores are asked at uniform levels, shifted."""

    flow: FlowConfig = field(default_factory=FlowConfig)
    dmd: DmdConfig = field(default_factory=DmdConfig)
