"""The sections of the configuration that single phases own, and the schema of each phase.

A schema is what all phases share (`trainer.settings.TrainConfig`) and the phase's own sections, so
a setting of another phase has no place in it. The sections of distillation are in
`trainer.distill.settings`; knows no tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from c2r.models.configs import check_positive
from trainer.distill.settings import DistilConfig, DmdConfig
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
