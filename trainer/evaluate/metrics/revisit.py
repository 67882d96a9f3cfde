"""Revisit error: does a place look the same when the camera comes back to it?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trainer.evaluate.geometry import Camera, Geometry
from trainer.evaluate.videos import Pictures, even_places

SAME_METRES, SAME_DEGREES = 0.02, 0.2
AWAY_METRES, AWAY_DEGREES = 1.0, 5.0
SAME_DEPTH = 0.01
MOST_PAIRS = 64


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


def revisit_error(pictures: Pictures, geometry: Geometry, camera: Camera) -> float | None:
    """Mean `|I_i - I_j|` over revisits (i, j), in levels of 255, where nothing moves.

    Counted are pixels of part 0 whose depth agrees within 1 %, so that passers-by do not. 0 is
    best. None when the camera comes back to no pose.
    """
    total, count = 0.0, 0
    for i, j in revisits(camera):
        depth_i, depth_j = geometry.depth[i], geometry.depth[j]
        with np.errstate(invalid="ignore"):
            close = np.abs(depth_i - depth_j) <= SAME_DEPTH * depth_i
        still = (geometry.part[i] == 0) & (geometry.part[j] == 0)
        seen = still & (close | (np.isinf(depth_i) & np.isinf(depth_j)))
        difference = np.abs(pictures[i].astype(np.int16) - pictures[j])[seen]
        total += float(difference.sum(dtype=np.int64))
        count += difference.size
    return total / count if count else None
