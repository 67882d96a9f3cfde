"""How people keep out of one another's way, and where they may be: plain functions on arrays.

N people, R rectangles; positions and velocities are [N, 2] in metres and metres per second.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from street.city.plan import Rect

Array = NDArray[np.float64]

BODY_RADIUS = 0.3
"""Half the distance in metres that two people never fall below."""
SEPARATION = 0.68
PASSING = 0.95
"""Distance in metres at which people like to pass each other."""
HORIZON = 2.5
"""Seconds ahead that people react to."""


def avoidance(position: Array, velocity: Array) -> Array:
    """Accelerations [N, 2] away from the encounters that straight walking would lead to.

    For each pair: the moment of closest approach within `HORIZON`, and a push sideways that grows
    as that approach is nearer in space and in time. Those who meet head-on both yield to the
    right.
    """
    offset = position[None] - position[:, None]
    closing = velocity[:, None] - velocity[None]
    speed2 = (closing**2).sum(axis=2) + 1e-9
    when = ((offset * closing).sum(axis=2) / speed2).clip(0.0, HORIZON)
    nearest = offset - closing * when[..., None]
    nearest += 0.25 * _left(velocity)[:, None]
    miss = np.sqrt((nearest**2).sum(axis=2)) + 1e-9
    gap = np.sqrt((offset**2).sum(axis=2))
    strength = 2.6 * (1 - miss / PASSING).clip(0.0) * np.exp(-when) * (gap < 5.0)
    np.fill_diagonal(strength, 0.0)
    return -(nearest / miss[..., None] * strength[..., None]).sum(axis=1)


def _left(velocity: Array) -> Array:
    """Unit vectors to the left of each one's way; zero for those who do not move."""
    speed = np.sqrt((velocity**2).sum(axis=1, keepdims=True))
    return np.stack([-velocity[:, 1], velocity[:, 0]], axis=1) / np.maximum(speed, 0.3)


def pushed_apart(position: Array) -> Array:
    """Positions after one round of moving every pair that is too close half the lack apart."""
    offset = position[:, None] - position[None]
    gap = np.sqrt((offset**2).sum(axis=2))
    lack = (SEPARATION - gap).clip(0.0)
    np.fill_diagonal(lack, 0.0)
    return position + (offset / np.maximum(gap, 1e-6)[..., None] * lack[..., None] / 2).sum(axis=1)


def closest_gap(position: Array) -> float:
    """The smallest distance between two of the people; infinite for one alone."""
    if len(position) < 2:
        return float("inf")
    gap = np.sqrt(((position[:, None] - position[None]) ** 2).sum(axis=2))
    return float(gap[~np.eye(len(position), dtype=bool)].min())


def as_array(rects: tuple[Rect, ...]) -> Array:
    """Rectangles [R, 4] as x0, y0, x1, y1."""
    return np.array([(r.x0, r.y0, r.x1, r.y1) for r in rects], float).reshape(-1, 4)


def held_inside(position: Array, rects: Array, allowed: NDArray[np.bool_]) -> Array:
    """Positions moved to the nearest point of the union of the rectangles that each may use.

    `allowed` is [N, R]; every row has at least one True.
    """
    nearest = np.clip(position[:, None], rects[None, :, :2], rects[None, :, 2:])
    distance = ((nearest - position[:, None]) ** 2).sum(axis=2)
    distance[~allowed] = np.inf
    return nearest[np.arange(len(position)), distance.argmin(axis=1)]


def held_outside(position: Array, rects: Array) -> Array:
    """Positions [N, 2] moved out of the rectangles through the nearest side, one by one."""
    moved = position.copy()
    for x0, y0, x1, y1 in rects:
        depths = np.stack(
            [moved[:, 0] - x0, moved[:, 1] - y0, x1 - moved[:, 0], y1 - moved[:, 1]], axis=1
        )
        for person in np.flatnonzero((depths > 0).all(axis=1)):
            side = int(depths[person].argmin())
            moved[person, side % 2] = (x0, y0, x1, y1)[side]
    return moved
