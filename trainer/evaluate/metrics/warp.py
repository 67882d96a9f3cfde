"""Warp error with the engine's own motion: does a surface keep its look from frame to frame?

H W pixel rows and columns, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from trainer.evaluate.geometry import Array, Geometry
from trainer.evaluate.videos import Pictures

Mask = NDArray[np.bool_]

NEAR = 0.5
"""Metres by which a surface may come nearer or go away within a frame and still be the same."""
NEAR_SHARE = 0.05
"""The same as a share of its depth; the larger one counts."""


def warp_error(pictures: Pictures, geometry: Geometry) -> float | None:
    """Mean `|I_t(p) - I_{t-1}(p + m_t(p))|` over what is visible in both, in levels of 255.

    Lai et al. 2018 (Learning Blind Video Temporal Consistency) with the absolute difference in
    place of the squared one, and with the engine's motion m and occlusion in place of estimated
    ones. I_{t-1} is read bilinearly. 0 is best. None when no pixel can be followed.
    """
    total, count = 0.0, 0
    for t in range(1, len(pictures)):
        warped, followed = warp(pictures, geometry, t)
        difference = np.abs(pictures[t] - warped)[followed]
        total += float(difference.sum(dtype=np.float64))
        count += difference.size
    return total / count if count else None


def warp(pictures: Pictures, geometry: Geometry, t: int) -> tuple[Array, Mask]:
    """Frame t-1 as seen from frame t, `[H, W, C]`, and where that is known, `[H, W]`.

    Known: all four pixels that are blended lie inside the picture and show the same part at about
    the same depth as the pixel at t.
    """
    height, width = geometry.depth.shape[1:]
    warped = np.zeros((height, width, pictures.shape[-1]), np.float32)
    followed = np.isfinite(geometry.motion[t]).all(axis=-1)
    for (rows, columns), weight in _taps(geometry.motion[t]):
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        place = rows.clip(0, height - 1), columns.clip(0, width - 1)
        same = inside & _same(geometry, t, place)
        followed &= same | (weight == 0)
        warped += weight[..., None] * pictures[t - 1][place]
    return warped, followed


def _taps(
    motion: Array,
) -> Iterator[tuple[tuple[NDArray[np.int64], NDArray[np.int64]], Array]]:
    """The four pixels around `p + m`: their (rows, columns) and bilinear weights `[H, W]`."""
    height, width = motion.shape[:2]
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    known = np.nan_to_num(motion, nan=0.0, posinf=0.0, neginf=0.0)
    # Rounded to a 256th of a pixel: motion in half precision is no finer, and a whole-pixel shift
    # must not lean on a neighbour.
    x = np.round((columns + known[..., 0]) * 256) / 256
    y = np.round((rows + known[..., 1]) * 256) / 256
    left, top = np.floor(x), np.floor(y)
    right_share, low_share = x - left, y - top
    for down in (0, 1):
        for across in (0, 1):
            by_row = low_share if down else 1 - low_share
            by_column = right_share if across else 1 - right_share
            place = (top.astype(np.int64) + down, left.astype(np.int64) + across)
            yield place, (by_row * by_column).astype(np.float32)


def _same(geometry: Geometry, t: int, place: tuple[NDArray[np.int64], NDArray[np.int64]]) -> Mask:
    """Where frame t-1 shows at `place` what frame t shows at each pixel."""
    now, before = geometry.depth[t], geometry.depth[t - 1][place]
    sky = np.isinf(now) & np.isinf(before)
    near = np.maximum(NEAR, NEAR_SHARE * np.where(np.isinf(now), 0, now))
    with np.errstate(invalid="ignore"):
        close = np.abs(now - before) <= near
    same: Mask = (sky | close) & (geometry.part[t] == geometry.part[t - 1][place])
    return same
