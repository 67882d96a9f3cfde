"""The settings that all phases share: frozen dataclasses, filled from nested changes.

The shapes of the networks are those of a preset (`model.name`) or of the renderer that training
starts from (`start.folder`); anything below `model` changes them (`model.dit.dim: 384`), and the
renderer that the run writes keeps the result. What one phase alone has is in
`trainer.phases.settings`; knows no tensors and no phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar

from c2r.config import override
from c2r.models.configs import Preset, check_positive, latent_count
from c2r.models.presets import get_preset
from c2r.streaming.guidance import GuidanceConfig
from c2r.streaming.sampler import SamplerConfig

PARTS = ("dit", "control", "vae", "dino", "text")
Settings = TypeVar("Settings", bound="TrainConfig")


def check_share(config: object, *names: str) -> None:
    """Raise `ValueError` unless each of these fields is from 0 to 1."""
    for name in names:
        if not 0 <= getattr(config, name) <= 1:
            value = getattr(config, name)
            raise ValueError(f"{type(config).__name__}.{name} is {value}; it must be 0 to 1")


@dataclass(frozen=True)
class StartConfig:
    """The weights that training begins with: a renderer's folder, single parts, or a seed.

    Single parts replace those of the folder. `fresh` parts begin from `seed` although the folder
    has them. A part that is named nowhere begins from the seed too, and the log says so loudly.
    """

    folder: Path | None = None
    dit: str | None = None
    control: str | None = None
    vae: str | None = None
    dino: str | None = None
    text: str | None = None
    fresh: tuple[str, ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        if unknown := set(self.fresh) - set(PARTS):
            raise ValueError(f"start.fresh names {sorted(unknown)}; parts are {', '.join(PARTS)}")


@dataclass(frozen=True)
class JitterConfig:
    """HSV jitter of a real clip's control, drawn once a clip.

    `hue`: largest turn, as a share of the circle. `saturation`, `value`: factors are drawn from
    1 - x to 1 + x.
    """

    hue: float = 0.05
    saturation: float = 0.4
    value: float = 0.3

    def __post_init__(self) -> None:
        check_share(self, "hue", "saturation", "value")


@dataclass(frozen=True)
class ScenesConfig:
    """Coarse clips drawn on the fly: a new scene every `reuse` samples, and each sample is of one
    of the `recent` latest.
    """

    reuse: int = 4
    recent: int = 32

    def __post_init__(self) -> None:
        check_positive(self, "reuse", "recent")


@dataclass(frozen=True)
class DataConfig:
    """Clips: a manifest of videos, or a cache of their latents; one of the two.

    `cg_ratio`: share of pairs of coarse and fine renders among the samples; the rest is real video.
    `frames`: pixel frames of a sample, 4n + 1; 0 means the preset's. `zoom`: with a manifest,
    clips are scaled up to this much beyond covering the frame, then cropped at random.
    `text_dropout` and `joint_dropout`: shares without text, and without text and control.
    `scenes`: train on coarse clips of new scenes, drawn meanwhile, in place of the set's; samples
    for show stay the set's.
    `bad_clips`: what a clip that cannot be read does; a run ends after `most_skips` of them.
    `keep_gib`: of the control, decoded frames and features, kept in memory. `prefetch`: batches
    made ahead.
    """

    manifest: Path | None = None
    cache: Path | None = None
    cg_ratio: float = 0.2
    frames: int = 0
    zoom: float = 1.0
    jitter: JitterConfig = field(default_factory=JitterConfig)
    text_dropout: float = 0.1
    joint_dropout: float = 0.1
    scenes: ScenesConfig | None = None
    bad_clips: Literal["skip", "error"] = "skip"
    most_skips: int = 100
    keep_gib: float = 1.0
    prefetch: int = 2
    workers: int = 1

    def __post_init__(self) -> None:
        check_share(self, "cg_ratio", "text_dropout", "joint_dropout")
        if self.text_dropout + self.joint_dropout > 1:
            raise ValueError("data.text_dropout and data.joint_dropout sum to more than 1")
        if self.zoom < 1:
            raise ValueError(f"data.zoom is {self.zoom}; 1 covers the frame, more crops")
        if self.prefetch < 0 or self.workers < 1:
            raise ValueError("data.prefetch must be 0 or more and data.workers 1 or more")


@dataclass(frozen=True)
class OptimConfig:
    """AdamW, its schedule, clipping and EMA. `final`: last learning rate as a share of `lr`.

    `kind` muon: matrices between hidden activations are updated by Muon (Jordan et al., 2024) with
    updates as large as AdamW's (Liu et al., 2025, arXiv:2502.16982), all else by AdamW.
    `ema` 0 keeps none; it follows from update `ema_from` on and is the weights until then. Its
    warm-up: the decay is at most (1 + n) / (10 + n) at update n.
    """

    kind: Literal["adamw", "muon"] = "adamw"
    lr: float = 1e-5
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.01
    clip: float = 1.0
    warmup: int = 200
    schedule: Literal["constant", "cosine"] = "constant"
    final: float = 0.0
    ema: float = 0.999
    ema_from: int = 0

    def __post_init__(self) -> None:
        check_positive(self, "lr", "clip")
        check_share(self, "final", "ema")


@dataclass(frozen=True)
class ParallelConfig:
    """How many processes share the work: replicate x shard x context is all of them.

    `shard` 0 takes what the others leave. `context`: processes that share one clip's tokens
    (Ulysses). `recompute`: activations are made again in the backward pass.
    """

    replicate: int = 1
    shard: int = 0
    context: int = 1
    recompute: bool = True
    compile: bool = False
    compile_backend: str = "inductor"

    def __post_init__(self) -> None:
        check_positive(self, "replicate", "context")
        if self.shard < 0:
            raise ValueError(f"parallel.shard is {self.shard}; 0 takes all that is left")


@dataclass(frozen=True)
class HardwareConfig:
    """What the configuration was made for; `--dry-run` checks against it. `memory_gb` is 1e9 B."""

    gpus: int = 1
    memory_gb: float = 80.0

    def __post_init__(self) -> None:
        check_positive(self, "gpus", "memory_gb")


def _quick_sampler() -> SamplerConfig:
    return SamplerConfig(steps=20, guidance=GuidanceConfig(kind="cfg", text_scale=4.0))


@dataclass(frozen=True)
class LogConfig:
    """What is written down, every so many steps; 0 means never.

    `monitor_clips`: real clips whose statistics the CG-artefact monitor compares with.
    `wandb`: a project's name; used when the package is installed.
    """

    every: int = 10
    sample_every: int = 500
    sample_clips: int = 2
    sampler: SamplerConfig = field(default_factory=_quick_sampler)
    monitor_clips: int = 8
    tensorboard: bool = True
    wandb: str | None = None


@dataclass(frozen=True)
class CheckpointConfig:
    """Checkpoints every so many steps, and when the last is `minutes` old, 0: at any age; the
    newest `keep` stay.
    """

    every: int = 500
    minutes: float = 0.0
    keep: int = 2

    def __post_init__(self) -> None:
        check_positive(self, "every", "keep")
        if not 0 <= self.minutes < float("inf"):
            raise ValueError(f"checkpoint.minutes is {self.minutes}; give minutes, or 0 for none")


@dataclass(frozen=True)
class TrainConfig:
    """What every run has. `batch` is the effective one, on any number of processes;
    `micro_batch` is what one process takes at a time. `folder` receives all that the run writes.
    """

    reader: ClassVar[Literal["windows", "pairs"]] = "windows"
    """How clips of a manifest are read: by `VideoReader` or by `PairReader`."""

    phase: str = "align"
    folder: Path = Path("out/train")
    model: Preset = field(default_factory=lambda: get_preset("tiny"))
    start: StartConfig = field(default_factory=StartConfig)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    parallel: ParallelConfig = field(default_factory=ParallelConfig)
    hardware: HardwareConfig = field(default_factory=HardwareConfig)
    log: LogConfig = field(default_factory=LogConfig)
    checkpoint: CheckpointConfig = field(default_factory=CheckpointConfig)
    steps: int = 10_000
    batch: int = 32
    micro_batch: int = 1
    precision: Literal["bf16", "float32"] = "bf16"
    attention: str = "sdpa"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        check_positive(self, "steps", "batch", "micro_batch")
        latent_count(self.frames)

    @property
    def frames(self) -> int:
        """Pixel frames of a sample."""
        return self.data.frames or self.model.frames

    @property
    def latents(self) -> int:
        """Latents of a sample."""
        return latent_count(self.frames)

    def accumulate(self, data_ranks: int) -> int:
        """Micro-batches of a step on each of `data_ranks` ranks; `ValueError` if uneven."""
        at_once = self.micro_batch * data_ranks
        if self.batch % at_once:
            raise ValueError(
                f"batch {self.batch} does not divide into micro_batch {self.micro_batch} x "
                f"{data_ranks} data ranks; make batch a multiple of {at_once}"
            )
        return self.batch // at_once


def _given(changes: Mapping[str, Any], section: str) -> Mapping[str, Any]:
    below = changes.get(section) or {}
    return below if isinstance(below, Mapping) else {}


def _base_preset(changes: Mapping[str, Any]) -> Preset:
    """What `model` changes: the preset of the renderer that training starts from, or a named one.

    A renderer's folder whose name is another than `model.name` is refused. A folder that is not
    there yet is no obstacle to counting; who loads from it will say so.
    """
    name, folder = _given(changes, "model").get("name"), _given(changes, "start").get("folder")
    if folder is None or (name is not None and not Path(folder).exists()):
        return get_preset(str(name or "tiny"))
    from c2r.weights.renderer import read_renderer  # imports torch, which `--help` need not wait

    preset, _ = read_renderer(Path(folder))
    if name not in (None, preset.name):
        raise ValueError(
            f"start.folder {folder} is a {preset.name} renderer, model.name says {name}"
        )
    return preset


def settings_from(schema: type[Settings], changes: Mapping[str, Any]) -> Settings:
    """Settings from nested changes; `ValueError` names the path of what is wrong."""
    return override(replace(schema(), model=_base_preset(changes)), changes)


def start_paths(start: StartConfig) -> dict[str, str | None]:
    """The path of each part's weights; None: from the seed."""
    named = {part: getattr(start, part) for part in PARTS}
    if start.folder is not None:
        from c2r.weights.renderer import read_renderer

        _, paths = read_renderer(start.folder)
        own = {item.name: getattr(paths, item.name) for item in fields(paths)}
        named = {part: named[part] or own[part] for part in PARTS}
    return {part: None if part in start.fresh else path for part, path in named.items()}
