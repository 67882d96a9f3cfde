"""Stability in time: flicker, warp error along the engine's motion, and revisit error.

F frames, H W pixel rows and columns, C channels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from c2r.models.configs import FRAMES_PER_LATENT
from trainer.evaluate.geometry import Array, Camera, Geometry
from trainer.evaluate.videos import Frames, even_places

Mask = NDArray[np.bool_]

NEAR = 0.5
"""Metres by which a surface's depth may change within a frame."""
NEAR_SHARE = 0.05
"""The same as a share of its depth; the larger one counts."""
SAME_METRES, SAME_DEGREES = 0.02, 0.2
"""Poses nearer than both are equal."""
AWAY_METRES, AWAY_DEGREES = 1.0, 5.0
"""A pose farther than either is elsewhere."""
SAME_DEPTH = 0.01
"""Share by which depths of one surface may differ between visits."""
MOST_PAIRS = 64


def flicker(frames: Frames) -> float | None:
    """Mean absolute difference of neighbouring frames `[F, H, W, 3]`, in levels of 255.

    VBench (Huang et al. 2024) reports `(255 - this) / 255`. Motion counts too, so it is read
    against the fine render's; down is steadier. None for a single frame.
    """
    return float(np.mean(frame_steps(frames))) if len(frames) > 1 else None


def frame_steps(frames: Frames) -> list[float]:
    """Mean absolute difference of each frame of `[F, H, W, 3]` to the next, in levels of 255."""
    pairs = zip(frames[1:].astype(np.int16), frames[:-1].astype(np.int16), strict=True)
    return [float(np.abs(now - before).mean()) for now, before in pairs]


def border_ratio(steps: Sequence[float], chunk: int) -> float | None:
    """Mean change of frame at the borders of chunks over that inside them; 1: borders are unseen.

    `steps`: mean absolute difference of frames t and t + 1, of a stream from its start in chunks
    of `chunk` latents: 1 + 4 (chunk - 1) frames, then 4 chunk each. None without a border, or
    where nothing changes inside.
    """
    length = FRAMES_PER_LATENT * chunk
    first = length - FRAMES_PER_LATENT + 1
    borders = [step for t, step in enumerate(steps, 1) if t >= first and (t - first) % length == 0]
    inside = [step for t, step in enumerate(steps, 1) if t < first or (t - first) % length]
    if not borders or not inside or not sum(inside):
        return None
    return float(np.mean(borders) / np.mean(inside))


def warp_error(frames: Frames, geometry: Geometry) -> float | None:
    """Mean `|I_t(p) - I_{t-1}(p + m_t(p))|` over what is visible in both, in levels of 255.

    Lai et al. 2018 (Learning Blind Video Temporal Consistency) with the absolute difference in
    place of the squared one, and with the engine's motion m and occlusion in place of estimated
    ones. I_{t-1} is read bilinearly. 0 is best. None when no pixel can be followed.
    """
    total, count = 0.0, 0
    for t in range(1, len(frames)):
        warped, followed = warp(frames, geometry, t)
        difference = np.abs(frames[t] - warped)[followed]
        total += float(difference.sum(dtype=np.float64))
        count += difference.size
    return total / count if count else None


def warp(frames: Frames, geometry: Geometry, t: int) -> tuple[Array, Mask]:
    """Frame t-1 as seen from frame t, `[H, W, C]`, and where that is known, `[H, W]`.

    Known: all four pixels that are blended lie inside the frame and show the same part at about
    the same depth as the pixel at t.
    """
    height, width = geometry.depth.shape[1:]
    warped = np.zeros((height, width, frames.shape[-1]), np.float32)
    followed = np.isfinite(geometry.motion[t]).all(axis=-1)
    for (rows, columns), weight in _taps(geometry.motion[t]):
        inside = (rows >= 0) & (rows < height) & (columns >= 0) & (columns < width)
        place = rows.clip(0, height - 1), columns.clip(0, width - 1)
        same = inside & _same(geometry, t, place)
        followed &= same | (weight == 0)
        warped += weight[..., None] * frames[t - 1][place]
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


def revisits(camera: Camera) -> list[tuple[int, int]]:
    """Pairs of frames (earlier, later) of equal pose between which the camera was elsewhere.

    Equal: within 2 cm and 0.2 degrees. Elsewhere: 1 m or 5 degrees away. At most 64, spread evenly.
    """
    metres, degrees = _distances(camera)
    equal = (metres <= SAME_METRES) & (degrees <= SAME_DEGREES)
    away = (metres >= AWAY_METRES) | (degrees >= AWAY_DEGREES)
    pairs = [
        (int(i), int(j)) for i, j in np.argwhere(np.triu(equal, 2)) if away[i, i + 1 : j].any()
    ]
    return [pairs[place] for place in even_places(len(pairs), MOST_PAIRS)] if pairs else []


def _distances(camera: Camera) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Metres and degrees `[F, F]` between all poses."""
    metres = np.linalg.norm(camera.eye[:, None] - camera.eye[None], axis=-1)
    trace = np.einsum("iab,jab->ij", camera.axes, camera.axes)
    return metres, np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1)))


def revisit_error(frames: Frames, geometry: Geometry, camera: Camera) -> float | None:
    """Mean `|I_i - I_j|` over revisits (i, j), in levels of 255, where nothing moves.

    Counted are pixels of part 0 whose depth agrees within 1 %, which leaves passers-by out. 0 is
    best. None when the camera returns to no pose.
    """
    total, count = 0.0, 0
    for i, j in revisits(camera):
        depth_i, depth_j = geometry.depth[i], geometry.depth[j]
        with np.errstate(invalid="ignore"):
            close = np.abs(depth_i - depth_j) <= SAME_DEPTH * depth_i
        still = (geometry.part[i] == 0) & (geometry.part[j] == 0)
        seen = still & (close | (np.isinf(depth_i) & np.isinf(depth_j)))
        difference = np.abs(frames[i].astype(np.int16) - frames[j])[seen]
        total += float(difference.sum(dtype=np.int64))
        count += difference.size
    return total / count if count else None
