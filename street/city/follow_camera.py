"""The third-person camera: behind the character, gently, and never inside a building."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from street.city.plan import KERB, Plan
from street.city.viewpoint import Viewpoint, look_at

Array = NDArray[np.float64]

FOV_Y = float(np.radians(52.0))
BEHIND = 5.0
"""Metres from the character to the camera, along the ground."""
ABOVE = 2.9
"""Height of the camera over the ground."""
AIM_AHEAD = 3.0
AIM_HEIGHT = 1.55
LEAN_TIME = 0.8
LEAN = 0.25
"""Metres that the camera leans out for each metre that a wall is nearer than `WALL_FELT`."""
WALL_FELT = 5.0
TURN_TIME = 0.7
MOVE_TIME = 0.12
WALL = 0.3
"""Metres between the camera and a wall; less than people keep, so that they are never inside it."""
RISE = 1.3
"""Metres that the camera rises by when a wall leaves it no room behind the character."""


class FollowCamera:
    """State of the follower: its smoothed heading `yaw` (radians) and the point it follows [3]."""

    def __init__(self, plan: Plan, aspect: float, feet: Array, heading: float) -> None:
        self._aspect = aspect
        self._walls = np.array(
            [
                (r.x0, r.y0, r.x1, r.y1, b.height + KERB)
                for b in plan.buildings
                for r in [b.footprint.inset(-WALL)]
            ]
        )
        self.snap(feet, heading)

    def snap(self, feet: Array, heading: float) -> None:
        """Jump behind the character."""
        self.yaw, self._focus = heading, np.array(feet, float)
        self._lean = self._wanted_lean()

    def step(self, dt: float, feet: Array, heading: float, turn: float = 0.0) -> None:
        """Follow for `dt` seconds; `turn` radians of the player's own are added to the yaw."""
        lag = (heading - self.yaw + np.pi) % (2 * np.pi) - np.pi
        self.yaw += lag * (1 - np.exp(-dt / TURN_TIME)) + turn
        self._focus = self._focus + (feet - self._focus) * (1 - np.exp(-dt / MOVE_TIME))
        self._lean = self._lean + (self._wanted_lean() - self._lean) * (1 - np.exp(-dt / LEAN_TIME))

    def viewpoint(self) -> Viewpoint:
        """The current camera."""
        ahead = np.array([np.cos(self.yaw), np.sin(self.yaw), 0.0])
        head = self._focus + np.array([0.0, 0.0, AIM_HEIGHT])
        wanted = self._focus - BEHIND * ahead + self._lean + np.array([0.0, 0.0, ABOVE])
        share = self._free_share(head, wanted)
        eye = np.append(head[:2] + (wanted - head)[:2] * share, wanted[2] + RISE * (1 - share))
        aim = head + AIM_AHEAD * max(share, 0.3) * ahead + 0.45 * self._lean
        return look_at(eye, aim, fov_y=FOV_Y, aspect=self._aspect)

    def _wanted_lean(self) -> Array:
        """Away from the nearest wall, so that a facade beside the character hides no street."""
        here = self._focus[:2]
        away = here - np.clip(here, self._walls[:, :2], self._walls[:, 2:4])
        distance = np.hypot(away[:, 0], away[:, 1])
        nearest = int(distance.argmin())
        reach = LEAN * max(0.0, WALL_FELT - float(distance[nearest]))
        return np.append(away[nearest] / max(float(distance[nearest]), 1e-6) * reach, 0.0)

    def _free_share(self, start: Array, end: Array) -> float:
        """The share of the way from the head to the wanted place before a wall (slab test)."""
        way = end - start
        way = np.where(np.abs(way) < 1e-9, 1e-9, way)
        low = (self._walls[:, :2] - start[:2]) / way[:2]
        high = (self._walls[:, 2:4] - start[:2]) / way[:2]
        enter, leave = np.minimum(low, high).max(axis=1), np.maximum(low, high).min(axis=1)
        hit = (enter < leave) & (leave > 0) & (enter < 1) & (self._walls[:, 4] > end[2])
        return max(0.0, float(enter[hit].min(initial=1.0)))
