"""Coarse clips of a training manifest, read for calibration: ids, prompts and chunks of frames.

Reads the few keys that it needs of each row; whether a manifest is good for training is not its
business.

Shapes: F frames of a chunk, H W pixel rows and columns.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from c2r.clips import read_clip
from c2r.models.configs import Preset


@dataclass(frozen=True)
class CoarseClip:
    """One row: the file of coarse frames, and what the clip shows in words."""

    id: str
    video: Path
    prompt: str


def coarse_clips(manifest: Path, count: int) -> tuple[CoarseClip, ...]:
    """The first `count` training clips that have a coarse twin.

    `ValueError` when the manifest cannot be read, a row lacks a key, or there are fewer clips.
    """
    if count < 1:
        raise ValueError(f"--clips {count}: calibrate on at least one clip")
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the manifest {manifest}: {error}") from error
    rows = [_row(manifest, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    found = tuple(
        CoarseClip(row["id"], manifest.parent / row["control"], row["caption"])
        for row in rows
        if row["control"] is not None and row["split"] == "train"
    )
    if len(found) < count:
        raise ValueError(
            f"{manifest} has {len(found)} training clips with a coarse twin; ask for at most that "
            f"many (--clips is {count}), or make more with c2r data synthesize"
        )
    return found[:count]


def _row(manifest: Path, number: int, line: str) -> dict[str, Any]:
    try:
        row = json.loads(line)
        return {key: row[key] for key in ("id", "control", "caption", "split")}
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{manifest}: row {number} is no clip of a training manifest ({error!r}); "
            "c2r data validates and writes them"
        ) from error


def chunks_of(
    clip: CoarseClip, preset: Preset, device: torch.device, most: int
) -> Iterator[Tensor]:
    """The clip's frames as chunks `[1, F, 3, H, W]` uint8, at most `most` of them, whole ones only.

    `ValueError` when the clip is shorter than a first chunk.
    """
    frames = read_clip(clip.video, width=preset.width, height=preset.height, fps=preset.fps)
    for index in range(most):
        wanted = preset.chunk_frames(index == 0)
        taken = list(islice(frames, wanted))
        if len(taken) < wanted:
            if index == 0:
                raise ValueError(
                    f"{clip.video} has {len(taken)} frames at {preset.fps} fps, a stream's first "
                    f"chunk takes {wanted}; leave the clip out of the manifest"
                )
            return
        yield torch.from_numpy(np.stack(taken)).to(device).permute(0, 3, 1, 2)[None]
