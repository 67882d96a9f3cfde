"""Motion vectors from depth, moving parts and two viewpoints: plain arrays, no engine.

A vector says, in pixels, where the point that is seen now was in the frame before, minus where it
is: x to the right, y down, the sign that `c2r.wire` asks for. Every pixel is taken back to the
world by its depth, through what moved it, and into the camera before; nothing is estimated from
colours.

H, W rows and columns; K moving parts.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from street.city.viewpoint import Viewpoint

Array = NDArray[np.float64]


def motion_field(
    depth: NDArray[np.float32],
    part: NDArray[np.int32],
    views: tuple[Viewpoint, Viewpoint],
    parts: tuple[Array, Array],
) -> NDArray[np.float32]:
    """Pixels from where a point is now to where it was, (x, y) with y down, float32 [H, W, 2].

    `depth` [H, W] metres along the view, inf for the sky, which moves as points at infinity do.
    `part` [H, W]: 0 on what stands still, k + 1 on moving part k. `views` and `parts` (world
    matrices [K, 4, 4], row-vector) are each (now, before). NaN where the point was behind the
    previous camera.
    """
    now, before = views
    height, width = depth.shape
    rays = _rays(now.slopes, width, height)
    # Points are kept divided by their depth: the sky is at nearness 0, where only turning moves it,
    # and no infinity enters the sums.
    nearness = (1.0 / depth).astype(np.float32, copy=False).ravel()
    turn, shift = _to_previous_view(now, before, np.eye(4))
    then = turn.T @ rays
    then += shift[:, None] * nearness
    moving = np.flatnonzero(part)
    if len(moving):
        visible, which = np.unique(part.ravel()[moving], return_inverse=True)
        back = np.linalg.inv(parts[0][visible - 1]) @ parts[1][visible - 1]
        turns, shifts = _to_previous_view(now, before, back)
        turned = np.einsum("in,nij->jn", rays[:, moving], turns[which])
        then[:, moving] = turned + shifts[which].T * nearness[moving]
    return _pixel_shift(then, rays, before, width, height)


@lru_cache(maxsize=4)
def _rays(slopes: tuple[float, float], width: int, height: int) -> NDArray[np.float32]:
    """View-space points [3, H * W] one metre deep behind every pixel's middle; read-only, since
    frames share them.
    """
    wide, tall = slopes
    rays = np.ones((3, height, width), np.float32)
    rays[0] = ((np.arange(width) + 0.5) * 2 / width - 1) * wide
    rays[1] = ((1 - (np.arange(height) + 0.5) * 2 / height) * tall)[:, None]
    rays.flags.writeable = False
    return rays.reshape(3, -1)


def _to_previous_view(
    now: Viewpoint, before: Viewpoint, back: Array
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Turns [..., 3, 3] and shifts [..., 3] from this view's axes to the last one's, through
    `back` [..., 4, 4], which takes world points to where they were.
    """
    whole = np.linalg.inv(now.world_to_view) @ back @ before.world_to_view
    return whole[..., :3, :3].astype(np.float32), whole[..., 3, :3].astype(np.float32)


def _pixel_shift(
    then: NDArray[np.float32],
    rays: NDArray[np.float32],
    before: Viewpoint,
    width: int,
    height: int,
) -> NDArray[np.float32]:
    """The shift in pixels [H, W, 2] of points `then` [3, H * W] (last view, any positive scale)."""
    wide, tall = before.slopes
    depth = np.where(then[2] > 1e-6, then[2], np.float32(np.nan))
    motion = np.empty((height, width, 2), np.float32)
    for axis, scale in enumerate((width / 2 / wide, -height / 2 / tall)):
        shift = (then[axis] / depth - rays[axis]) * np.float32(scale)
        motion[..., axis] = shift.reshape(height, width)
    return motion
