"""A take: one scene and one camera path, complete, so that any program can render it.

A take is a folder of two files: `take.json` (the plan, the atmosphere, the frame size) and
`tracks.npz` (where every moving part and the camera are, frame by frame). Two clips of one take,
rendered by different programs, agree in every pixel's position: neither program simulates
anything.

F frames, K moving parts in the order of `World.parts`, S ground shadows as of `World.shadows`.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from street.city.plan import Plan
from street.city.viewpoint import Viewpoint

Array = NDArray[np.float64]
Hour = Literal["dawn", "noon", "sunset", "night"]
Weather = Literal["clear", "overcast", "rain", "snow", "fog"]
Level = Literal["blocks", "humanoids", "mid"]

LEVELS: tuple[Level, ...] = ("blocks", "humanoids", "mid")
"""How much a coarse clip shows: grey boxes and pills, grey boxes and walking figures, or the
sample game's flat colours.
"""


@dataclass(frozen=True)
class Atmosphere:
    """Light and weather of a scene."""

    hour: Hour
    weather: Weather


@dataclass(frozen=True)
class TakeHeader:
    """The content of `take.json`: all but the tracks. `fov_y` in radians, metres otherwise.

    `wordings`: the caption in other words, shorter and longer.
    """

    id: str
    seed: int
    level: Level
    atmosphere: Atmosphere
    caption: str
    camera: Literal["dolly", "follow", "pan", "orbit"]
    width: int
    height: int
    fps: float
    fov_y: float
    near: float
    far: float
    plan: Plan
    wordings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Take:
    """A header and its tracks: `parts` [F, K, 4, 4] and `shadows` [F, S, 4, 4], row-vector world
    matrices; `eye` [F, 3] and `axes` [F, 3, 3] (rows right, up, forward) of the camera.
    """

    header: TakeHeader
    parts: Array
    shadows: Array
    eye: Array
    axes: Array

    def __len__(self) -> int:
        return len(self.eye)

    def viewpoint(self, frame: int) -> Viewpoint:
        header = self.header
        right, up, forward = self.axes[frame]
        aspect = header.width / header.height
        return Viewpoint(
            self.eye[frame], right, up, forward, header.fov_y, aspect, header.near, header.far
        )


def save_take(take: Take, folder: Path) -> None:
    """Writes `tracks.npz`, then `take.json`: a folder with the latter is complete."""
    folder.mkdir(parents=True, exist_ok=True)
    tracks: dict[str, Any] = {
        "parts": take.parts,
        "shadows": take.shadows,
        "eye": take.eye,
        "axes": take.axes,
    }
    np.savez_compressed(folder / "tracks.npz", **tracks)
    text = json.dumps(asdict(take.header), indent=1)
    part = folder / "take.json.part"
    part.write_text(text, encoding="utf-8")
    part.replace(folder / "take.json")


def load_take(folder: Path) -> Take:
    """The take that `save_take` wrote. ValueError, naming the file, when it is incomplete."""
    try:
        text = (folder / "take.json").read_text(encoding="utf-8")
        header = TypeAdapter(TakeHeader).validate_json(text)
        with np.load(folder / "tracks.npz") as tracks:
            return Take(header, **{key: tracks[key] for key in ("parts", "shadows", "eye", "axes")})
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{folder} holds no whole take: {error}") from error
