"""A captured frame of the game in the canonical form: arrays and numbers only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from street.city.viewpoint import Viewpoint

_LARGEST_HALF = 65504.0

ResetReason = Literal["level_load", "teleport"]


@dataclass(frozen=True, eq=False)
class Camera:
    """The camera of a frame. Metres and radians; world Z up.

    `position`, and `right`, `up`, `forward`, orthonormal, are [3]. `view_to_clip` and
    `clip_to_prev_clip` are [4, 4], row-major for row vectors, D3D clip space (z in [0, 1] from
    near to far, y up), without jitter. View space is x right, y up, z forward.
    """

    position: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    forward: NDArray[np.float64]
    fov_y: float
    near: float
    far: float
    view_to_clip: NDArray[np.float64]
    clip_to_prev_clip: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GameFrame:
    """One frame. Row 0 is the top of every array.

    `rgb` uint8 [H, W, 3], sRGB as drawn. `depth` float32 [H, W], metres along `camera.forward`,
    inf for the sky. `motion` float32 [H, W, 2], pixels from where a point is now to where it was
    in the last frame (x right, y down), NaN where unknown, everywhere on a reset. Depth and motion
    are None where the renderer cannot give them, or was not asked to. `time_us` is simulation
    time. `reset` says that nothing carries over from the last frame, `reset_reason` why.
    """

    frame_id: int
    time_us: int
    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None
    motion: NDArray[np.float32] | None
    camera: Camera
    reset: bool
    reset_reason: ResetReason | None


def half_motion(motion: NDArray[np.float32]) -> NDArray[np.float16]:
    """Motion in half precision, NaN where that overflows: the wire reads NaN as unknown."""
    with np.errstate(invalid="ignore"):
        fits = np.abs(motion) <= _LARGEST_HALF
    return np.where(fits, motion, np.float32(np.nan)).astype(np.float16)


def camera_of(view: Viewpoint, previous: Viewpoint | None) -> Camera:
    """The frame's camera; without a previous view `clip_to_prev_clip` is the identity."""
    return Camera(
        position=view.position,
        right=view.right,
        up=view.up,
        forward=view.forward,
        fov_y=view.fov_y,
        near=view.near,
        far=view.far,
        view_to_clip=view.view_to_clip,
        clip_to_prev_clip=np.eye(4) if previous is None else view.clip_to_prev_clip(previous),
    )
