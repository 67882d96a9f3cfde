"""Calibration on coarse clips of a training manifest, streamed through the renderer.

Each clip is a stream of its own, from its first chunk on, so that early fill levels of the cache
count as much as they do in serving. Reads the few keys that it needs of each row of the manifest
and does not check that the manifest is good for training.

Shapes: F frames of a chunk, H W pixel rows and columns; T latents, C channels, h w their sides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table
from torch import Tensor

from c2r.clips import read_clip
from c2r.exported.manifest import file_sha256
from c2r.exported.stages import eager_stages
from c2r.exported.stream import stream_chunks, text_of
from c2r.models.build import Networks
from c2r.models.configs import Preset
from export.precision.calibrate import Calibration, calibrate, rounded
from export.verify import Agreement, agreement

CHUNKS = 4
"""Chunks of each clip, from its beginning."""


@dataclass(frozen=True)
class CoarseClip:
    """One row: the file of coarse frames, and what the clip shows in words."""

    id: str
    video: Path
    prompt: str


def coarse_clips(manifest: Path, count: int) -> tuple[CoarseClip, ...]:
    """The first `count` training clips that have a coarse counterpart.

    `ValueError` when the manifest cannot be read, a row lacks a key, or there are fewer clips.
    """
    if count < 1:
        raise ValueError(f"--clips {count}: calibrate on at least one clip")
    try:
        lines = manifest.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"cannot read the manifest {manifest}: {error}") from error
    rows = [_row(manifest, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    clips = tuple(
        CoarseClip(row["id"], manifest.parent / row["control"], row["caption"])
        for row in rows
        if row["control"] is not None and row["split"] == "train"
    )
    if len(clips) < count:
        raise ValueError(
            f"{manifest} has {len(clips)} training clips with a coarse counterpart; ask for at "
            f"most that many (--clips is {count}), or make more with c2r data synthesize"
        )
    return clips[:count]


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


@dataclass(frozen=True)
class CalibrationRequest:
    """What to calibrate on. `exclude`: patterns of layers that stay as they are."""

    manifest: Path
    clips: tuple[CoarseClip, ...]
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True)
class ClipCalibration:
    """A calibration, the chunks of each clip it was made on, and what rounding does to them.

    `streams`: by clip, clean latents with every calibrated layer rounded against exact ones.
    """

    calibration: Calibration
    manifest_sha256: str
    chunks: dict[str, int]
    streams: dict[str, Agreement]

    def as_json(self) -> dict[str, Any]:
        """Plain values for the folder's manifest."""
        return asdict(self)

    @property
    def scales(self) -> dict[str, float]:
        """Calibrated layer -> scale of its input."""
        return {layer.layer: layer.input_scale for layer in self.calibration.layers}

    def table(self) -> Table:
        """The error of each layer, for a terminal."""
        table = Table("layer", "input scale", "error", title="FP8: error of each layer's output")
        for layer in self.calibration.layers:
            table.add_row(layer.layer, f"{layer.input_scale:.3g}", f"{layer.error:.2%}")
        for name, reason in self.calibration.excluded.items():
            table.add_row(name, "kept", reason)
        return table


def calibrate_on_clips(
    networks: Networks, request: CalibrationRequest, say: Callable[[str], None]
) -> ClipCalibration:
    """Stream the clips twice: exact, while every layer is watched, then with rounded layers."""
    exact: dict[str, Tensor] = {}

    def streams() -> None:
        for clip in request.clips:
            say(f"{clip.id}: streaming, layers watched")
            exact[clip.id] = _latents(networks, clip)

    calibration = calibrate(networks, streams, exclude=request.exclude)
    agreements = {}
    with rounded(networks, calibration):
        for clip in request.clips:
            say(f"{clip.id}: streaming, layers rounded")
            agreements[clip.id] = agreement(exact[clip.id], _latents(networks, clip))
    per_chunk = networks.preset.stream.chunk
    chunks = {name: latents.shape[1] // per_chunk for name, latents in exact.items()}
    return ClipCalibration(calibration, file_sha256(request.manifest), chunks, agreements)


def _latents(networks: Networks, clip: CoarseClip) -> Tensor:
    """Clean latents of a clip's stream, `[1, T, C, h, w]`."""
    return torch.cat(list(_clean(networks, clip)), dim=1)


def _clean(networks: Networks, clip: CoarseClip) -> Iterator[Tensor]:
    chunks = chunks_of(clip, networks.preset, networks.device, CHUNKS)
    text = text_of(networks, clip.prompt)
    for chunk in stream_chunks(networks, eager_stages(networks), chunks, text, seed=0):
        yield chunk.clean
