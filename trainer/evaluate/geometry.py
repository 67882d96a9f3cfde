"""What the engine knows of a clip: depth, motion and moving parts, and the camera's poses.

F frames, H W pixel rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from street.city.clip_folder import load_clip_folder

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Geometry:
    """`depth` [F, H, W] metres along the view, inf for the sky; `motion` [F, H, W, 2] pixels from
    where a point is to where it was a frame ago, (x, y) with y down, NaN where unknown; `part`
    [F, H, W]: 0 on what stands still, k + 1 on moving part k.
    """

    depth: Array
    motion: Array
    part: NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Camera:
    """`eye` [F, 3] metres; `axes` [F, 3, 3], rows right, up, forward."""

    eye: NDArray[np.float64]
    axes: NDArray[np.float64]


def read_geometry(folder: Path, frames: int, height: int, width: int) -> tuple[Geometry, Camera]:
    """The first `frames` frames of a clip folder's `geometry.npz` and `camera.json`.

    `ValueError`, naming the folder, when they are not whole, of another size or too short.
    """
    whole, log = load_clip_folder(folder)
    size, wanted = whole.depth.shape, (frames, height, width)
    if size[0] < frames or size[1:] != wanted[1:]:
        raise ValueError(
            f"{folder}: the geometry is {list(size)} (frames, rows, columns), its clip "
            f"{list(wanted)}; capture the take again"
        )
    cameras = log.frames[:frames]
    geometry = Geometry(
        whole.depth[:frames].astype(np.float32),
        whole.motion[:frames].astype(np.float32),
        whole.part[:frames].astype(np.int32),
    )
    eye = np.array([camera.position for camera in cameras], np.float64)
    axes = np.array([(c.right, c.up, c.forward) for c in cameras], np.float64)
    return geometry, Camera(eye, axes)
