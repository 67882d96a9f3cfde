"""A recorded take on disk: the coarse clip, and the exact geometry behind every pixel.

A folder of three files: `coarse.mp4`; `geometry.npz` with depth, motion and part numbers; and
`camera.json`. The last is written last, so a folder that holds it is complete: a recording that
was killed half-way is never taken for a whole one. It does not know who renders.

F frames, H W rows and columns.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from street.city.take import Level
from street.city.viewpoint import Viewpoint

COARSE_VIDEO, GEOMETRY, CAMERA = "coarse.mp4", "geometry.npz", "camera.json"

Triple = tuple[float, float, float]
Row = tuple[float, float, float, float]
Matrix = tuple[Row, Row, Row, Row]


@dataclass(frozen=True, eq=False)
class Geometry:
    """`depth` float16 [F, H, W]: metres along the camera's forward axis, inf for the sky.
    `motion` float16 [F, H, W, 2]: pixels from where a point is to where it was one frame before,
    x right and y down, NaN where unknown and in all of frame 0. `part` uint16 [F, H, W]: 0 on what
    stands still, k + 1 on part k of `World.parts`.
    """

    depth: NDArray[np.float16]
    motion: NDArray[np.float16]
    part: NDArray[np.uint16]


@dataclass(frozen=True)
class FrameCamera:
    """The camera of one frame, in the conventions of `Viewpoint`: metres, radians, Z up.

    `clip_to_prev_clip` (row-major, row vectors) takes clip coordinates of what stands still to
    those of the frame before; the identity for frame 0.
    """

    position: Triple
    right: Triple
    up: Triple
    forward: Triple
    fov_y: float
    near: float
    far: float
    clip_to_prev_clip: Matrix

    def viewpoint(self, aspect: float) -> Viewpoint:
        """The same camera for a frame of `aspect` (width / height)."""
        rows = np.array([self.position, self.right, self.up, self.forward])
        return Viewpoint(
            rows[0], rows[1], rows[2], rows[3], self.fov_y, aspect, self.near, self.far
        )


@dataclass(frozen=True)
class CameraLog:
    """The content of `camera.json`: which take this is of, and the camera of each frame."""

    take: str
    level: Level
    pipe: str
    width: int
    height: int
    fps: float
    frames: tuple[FrameCamera, ...]


def save_clip_folder(folder: Path, geometry: Geometry, log: CameraLog) -> None:
    """Writes the geometry, then the cameras, which complete the folder; the video is there already.

    `clear_clip_folder` must have been called on the folder.
    """
    assert (folder / COARSE_VIDEO).is_file(), "the video is written before geometry"
    part = folder / f"{GEOMETRY}.part"
    with part.open("wb") as file:
        np.savez_compressed(file, depth=geometry.depth, motion=geometry.motion, part=geometry.part)
    part.replace(folder / GEOMETRY)
    part = folder / f"{CAMERA}.part"
    part.write_text(json.dumps(asdict(log)), encoding="utf-8")
    part.replace(folder / CAMERA)


def clear_clip_folder(folder: Path) -> None:
    """Makes the folder, or removes an earlier clip from it.

    `camera.json` goes first: from then on the folder counts as incomplete, whenever the process
    is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (CAMERA, GEOMETRY, COARSE_VIDEO):
        (folder / name).unlink(missing_ok=True)


def load_clip_folder(folder: Path) -> tuple[Geometry, CameraLog]:
    """The geometry and cameras of a complete clip. Raises ValueError, naming the folder and what is
    wrong with it, for one that was not finished or is damaged.
    """
    try:
        log = TypeAdapter(CameraLog).validate_json((folder / CAMERA).read_text(encoding="utf-8"))
        with np.load(folder / GEOMETRY) as arrays:
            geometry = Geometry(arrays["depth"], arrays["motion"], arrays["part"])
        if not (folder / COARSE_VIDEO).is_file():
            raise ValueError(f"{COARSE_VIDEO} is missing")
        _check(geometry, log)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ValueError(f"{folder} holds no whole clip, record it again: {error}") from error
    return geometry, log


def _check(geometry: Geometry, log: CameraLog) -> None:
    shape = len(log.frames), log.height, log.width
    arrays = geometry.depth.shape, geometry.motion.shape, geometry.part.shape
    if arrays != (shape, (*shape, 2), shape):
        raise ValueError(f"{GEOMETRY} has arrays of shapes {arrays}, not of {shape} pixels")
