"""What is in a camera's way and what it sees, by rays against boxes and balls; nothing is rendered.

N points or people, R rays, B boxes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from street.city.plan import KERB, Plan, Rect
from street.city.viewpoint import Viewpoint

Array = NDArray[np.float64]
Bools = NDArray[np.bool_]

WALL = 0.6
"""Metres that a camera keeps from walls."""
TWIG = 0.6
POST = 0.45
LAMP_ARM = 1.9
BUMPER = 0.6
ROOF = 2.7
"""Height in metres above which a camera is clear of every car."""
CAR_REACH = 2.5
"""Half the length in metres of the longest car, generously."""
GRID = (9, 5)
"""Rays across and down the frame."""


@dataclass(frozen=True)
class FrameContent:
    """What a grid of rays hits in one frame, as shares of it in [0, 1].

    `nearest` is the distance in metres to the nearest visible wall or crown.
    """

    facade: float
    road: float
    nearest: float


class Visibility:
    """A plan's obstacles as arrays, to test camera positions and cast rays against."""

    def __init__(self, plan: Plan) -> None:
        self._walls = np.array(
            [(*_corners(b.footprint), b.height + KERB) for b in plan.buildings], float
        )
        self._blocks = np.array([_corners(b) for b in plan.blocks], float)
        self._city = plan.bounds.inset(2.0)
        balls = [
            ball
            for t in plan.trees
            for ball in (
                (*t.position, t.trunk + 0.8 * t.crown, t.crown * 1.14),
                (t.position[0] + 0.3, t.position[1] + 0.2, t.trunk + t.crown + 0.35, t.crown * 0.7),
            )
        ]
        self._crowns = np.array(balls, float).reshape(-1, 4)
        self._trunks = np.array([t.position for t in plan.trees], float).reshape(-1, 2)
        self._lamps = np.array([lamp.position for lamp in plan.lamps], float).reshape(-1, 2)
        self._parked = np.array([car.position for car in plan.parked], float).reshape(-1, 2)

    def clear_of_obstacles(self, eyes: Array) -> Bools:
        """[N]: whether cameras at `eyes` [N, 3] are in the city and not inside an obstacle."""
        x, y = eyes[:, :1], eyes[:, 1:2]
        inside = (x > self._walls[:, 0] - WALL) & (x < self._walls[:, 2] + WALL)
        inside &= (y > self._walls[:, 1] - WALL) & (y < self._walls[:, 3] + WALL)
        city = self._city
        out = (x < city.x0) | (x > city.x1) | (y < city.y0) | (y > city.y1)
        crown = np.linalg.norm(eyes[:, None] - self._crowns[None, :, :3], axis=2)
        high, low = eyes[:, 2] > 4.5, eyes[:, 2] < ROOF
        lamp_room = np.where(high, LAMP_ARM, POST)
        hit = inside.any(axis=1) | out[:, 0] | (crown < self._crowns[:, 3] + TWIG).any(axis=1)
        hit |= (_away(eyes, self._trunks) < POST).any(axis=1)
        hit |= (_away(eyes, self._lamps) < lamp_room[:, None]).any(axis=1)
        hit |= low & (_away(eyes, self._parked) < CAR_REACH + BUMPER).any(axis=1)
        return ~hit

    def frame_content(self, camera: Viewpoint) -> FrameContent:
        rays = _rays(camera)
        wall = self._to_walls(camera.position, rays)
        crown = self._to_crowns(camera.position, rays)
        with np.errstate(divide="ignore"):
            ground = np.where(rays[:, 2] < 0, -camera.position[2] / rays[:, 2], np.inf)
        first = np.minimum(wall, crown)
        foot = camera.position[:2] + rays[:, :2] * np.where(ground < first, ground, 0.0)[:, None]
        on_block = (foot[:, None] > self._blocks[:, :2]) & (foot[:, None] < self._blocks[:, 2:])
        road = (ground < first) & (ground < 60.0) & ~np.any(on_block.all(axis=2), axis=1)
        facade = (wall < crown) & (wall < ground)
        return FrameContent(float(facade.mean()), float(road.mean()), float(first.min()))

    def people_in_view(self, camera: Viewpoint, people: Array) -> int:
        """How many of `people` [N, 2] are well inside the frame, near, and not hidden."""
        heads = np.column_stack([people, np.full(len(people), 1.5)])
        at, depth = camera.pixels(heads, 100, 100)
        framed = (depth > 2.0) & (depth < 26.0) & ((at > 6) & (at < 94)).all(axis=1)
        if not framed.any():
            return 0
        way = heads[framed] - camera.position
        far = np.linalg.norm(way, axis=1)
        rays = way / far[:, None]
        wall = self._to_walls(camera.position, rays)
        return int((np.minimum(wall, self._to_crowns(camera.position, rays)) > far).sum())

    def _to_walls(self, eye: Array, rays: Array) -> Array:
        """Metres [R] from `eye` along unit `rays` [R, 3] to the first building (slab test)."""
        way = np.where(np.abs(rays) < 1e-9, 1e-9, rays)[:, None]
        foot = np.column_stack([self._walls[:, :2], np.full(len(self._walls), -1.0)])
        low, high = (foot - eye) / way, (self._walls[:, 2:] - eye) / way
        enter, leave = np.minimum(low, high).max(axis=2), np.maximum(low, high).min(axis=2)
        return np.where((enter < leave) & (leave > 0), enter, np.inf).min(axis=1)

    def _to_crowns(self, eye: Array, rays: Array) -> Array:
        """Metres [R] to the first tree crown, infinite where there is none."""
        to = self._crowns[:, :3] - eye
        along = rays @ to.T
        miss2 = (to**2).sum(axis=1) - along**2
        half = np.sqrt((self._crowns[:, 3] ** 2 - miss2).clip(0.0))
        hit = (miss2 < self._crowns[:, 3] ** 2) & (along > 0)
        return np.where(hit, along - half, np.inf).min(axis=1, initial=np.inf)


def _corners(rect: Rect) -> tuple[float, float, float, float]:
    return rect.x0, rect.y0, rect.x1, rect.y1


def _away(eyes: Array, places: Array) -> Array:
    """Distances [N, M] along the ground."""
    return np.linalg.norm(eyes[:, None, :2] - places[None], axis=2)


def _rays(camera: Viewpoint) -> Array:
    """Unit directions [R, 3] through a grid over the frame."""
    x, y = np.meshgrid(*(np.linspace(-0.92, 0.92, count) for count in GRID))
    wide, tall = camera.slopes
    local = np.stack([x.ravel() * wide, y.ravel() * tall, np.ones(x.size)], axis=1)
    rays = local @ camera.axes
    return rays / np.linalg.norm(rays, axis=1, keepdims=True)
