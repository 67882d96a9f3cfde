"""Which scenes a set consists of: names, seeds, splits, and which ones get a coarse clip.

The configuration decides all of it, and with it every pixel of the set.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np

from c2r.config import override, read_yaml, save_config

Split = Literal["train", "held_out"]
STREAMS: tuple[Split, ...] = ("train", "held_out")
"""Seeds of a split equal its index here, modulo 2: no scene can be in both splits, whatever the
seeds of the sets."""


@dataclass(frozen=True)
class SetConfig:
    """A set of scenes: `scenes` to train on and `held_out` more, each `frames` long at `fps` and
    `width` x `height` pixels. The first `pairs` train scenes (all without it) and every held-out
    one get a coarse clip. `samples`: light paths per pixel of the fine clip; `crf`: x264's quality.
    """

    scenes: int = 4
    held_out: int = 0
    pairs: int | None = None
    frames: int = 49
    seed: int = 0
    width: int = 256
    height: int = 144
    fps: float = 16.0
    samples: int = 4
    crf: int = 10


@dataclass(frozen=True)
class SceneSpec:
    """One scene of a set: `index` is its place in its split."""

    id: str
    split: Split
    index: int
    seed: int
    paired: bool


def check_config(config: SetConfig) -> None:
    """ValueError for numbers that make no set of clips."""
    if config.scenes < 0 or config.held_out < 0 or config.scenes + config.held_out < 1:
        raise ValueError(
            f"--scenes {config.scenes} with --held-out {config.held_out}: give at least one scene"
        )
    if config.pairs is not None and not 0 <= config.pairs <= config.scenes:
        raise ValueError(
            f"--pairs {config.pairs}: of {config.scenes} scenes, 0 to all have a coarse clip"
        )
    if config.frames < 1 or config.frames % 4 != 1:
        near = max(1, 1 + 4 * round((config.frames - 1) / 4))
        raise ValueError(
            f"--frames {config.frames}: a clip holds 1 + 4n frames, for n + 1 latents; try {near}"
        )
    if min(config.width, config.height) < 16 or config.width % 2 or config.height % 2:
        raise ValueError(
            f"--size {config.width}x{config.height}: give even sides of 16 pixels or more"
        )
    if config.seed < 0:
        raise ValueError(f"--seed {config.seed}: give 0 or more")
    if not (math.isfinite(config.fps) and config.fps > 0):
        raise ValueError(f"fps is {config.fps}; give a positive number of frames a second")
    if config.samples < 1 or not 0 <= config.crf <= 51:
        raise ValueError(f"samples {config.samples}, crf {config.crf}: 1 or more, and 0 to 51")


def scene_list(config: SetConfig) -> tuple[SceneSpec, ...]:
    """Every scene of a set: the held-out ones first, so that a run that stops early has them."""
    pairs = paired_scenes(config)
    counts: dict[Split, int] = {"held_out": config.held_out, "train": config.scenes}
    specs = [
        SceneSpec(f"{split}-{index:05}", split, index, seed, split == "held_out" or index < pairs)
        for split, count in counts.items()
        for index, seed in enumerate(scene_seeds(config.seed, split, count))
    ]
    assert len({spec.seed for spec in specs}) == len(specs), "no two scenes share a seed"
    return tuple(specs)


def paired_scenes(config: SetConfig) -> int:
    """How many train scenes get a coarse clip."""
    return config.scenes if config.pairs is None else config.pairs


def scene_seeds(root: int, split: Split, count: int) -> tuple[int, ...]:
    """`count` different seeds below 2**31; those of one split are odd, of the other even. A longer
    list begins with the shorter one.
    """
    stream = STREAMS.index(split)
    rng = np.random.default_rng([root, stream])
    seeds: dict[int, None] = {}
    while len(seeds) < count:
        seeds[2 * int(rng.integers(1 << 30)) + stream] = None
    return tuple(seeds)


def keep_config(config: SetConfig, path: Path) -> None:
    """Write the set's configuration, or ValueError when another one is written there already.
    Coarse clips may be added later: `pairs` may grow.
    """
    if not path.exists():
        save_config(config, path)
        return
    before: Any = override(SetConfig(), read_yaml(path))
    differences = [
        f"{field.name} was {getattr(before, field.name)} and is now {getattr(config, field.name)}"
        for field in fields(SetConfig)
        if getattr(before, field.name) != getattr(config, field.name)
        and not (field.name == "pairs" and paired_scenes(before) < paired_scenes(config))
    ]
    if differences:
        raise ValueError(
            f"{path.parent} holds another set: {'; '.join(differences)}. Give the same options to "
            "continue it, or another --out"
        )
    save_config(config, path)
