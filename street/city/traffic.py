"""Cars: they circle on their lanes at a steady speed, keep their distance and stop for people.

Advances in fixed steps and draws nothing at random. It knows the plan, who asks for a crossing and
where people are; it does not know rendering.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from street.city.plan import Crossing, Plan, Point
from street.city.props import CAR_SIZES

Array = NDArray[np.float64]

CRUISE = 7.0
ACCELERATION = 2.0
BRAKING = 3.0
STANDOFF = 1.0
"""Metres kept free in front of a bumper."""
STOP_LINE = 1.2
"""Metres before the stripes at which cars halt."""
SIDE = 1.35
"""Metres from the middle of the lane within which a person is in the way."""

BACK = 0.4
"""Metres from a person's middle to the end of the room it takes on the lane."""


class Lane:
    """A closed lane; a place on it is `s`, metres from its first point, modulo `length`."""

    def __init__(self, points: tuple[Point, ...]) -> None:
        self.points: Array = np.array(points, float)
        ring = np.vstack([self.points, self.points[:1]])
        self._s = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(ring, axis=0).T))])
        self._ring = ring
        along = np.roll(self.points, -1, axis=0) - np.roll(self.points, 1, axis=0)
        turn = np.unwrap(np.arctan2(along[:, 1], along[:, 0]))
        full = turn[0] + 2 * np.pi * np.sign(turn[-1] - turn[0])
        self._turn = np.append(turn, full)
        self.length = float(self._s[-1])

    def at(self, s: Array) -> tuple[Array, Array]:
        """Positions [M, 2] and headings [M] at places `s` [M]."""
        s = s % self.length
        xy = np.stack([np.interp(s, self._s, axis) for axis in self._ring.T], axis=1)
        return xy, np.interp(s, self._s, self._turn)

    def span(self, crossing: Crossing) -> tuple[float, float]:
        """Where the lane meets a crossing: first place and extent in metres, NaN where nowhere."""
        area = crossing.area.inset(-STOP_LINE)
        x, y = self.points.T
        inside = (x > area.x0) & (x < area.x1) & (y > area.y0) & (y < area.y1)
        if not inside.any():
            return float("nan"), float("nan")
        first = int(np.flatnonzero(inside & ~np.roll(inside, 1))[0])
        return float(self._s[first]), float(inside.sum()) * self.length / len(self.points)

    def people_on(self, people: Array) -> Array:
        """Places of those among `people` [N, 2] who are in the lane."""
        every_metre = slice(None, None, 2)
        away = ((people[:, None] - self.points[None, every_metre]) ** 2).sum(axis=2)
        places = self._s[:-1][every_metre][away.argmin(axis=1)]
        return places[away.min(axis=1) < SIDE**2]


class Traffic:
    """The state of all driving cars, arrays over M cars.

    `position` [M, 2], `heading` [M] radians, `speed` [M] m/s, `rolled` [M] metres driven.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self._lanes = [Lane(points) for points in plan.loops]
        self._loop = np.array([car.loop for car in plan.cars], int)
        self._s = np.array([car.start for car in plan.cars], float)
        self._half = np.array([CAR_SIZES[car.look.kind][0] / 2 for car in plan.cars], float)
        self._round = np.array([lane.length for lane in self._lanes])[self._loop]
        spans = np.array([[lane.span(c) for c in plan.crossings] for lane in self._lanes])
        self._start, self._extent = np.moveaxis(spans[self._loop], -1, 0)
        self._others = self._loop[:, None] == self._loop[None]
        np.fill_diagonal(self._others, False)
        self.speed: Array = np.full(len(plan.cars), CRUISE)
        self.rolled: Array = np.zeros(len(plan.cars))
        self._place()

    def step(self, dt: float, requested: NDArray[np.bool_], people: Array) -> None:
        """Advance by `dt` seconds. `requested` [C]: crossings to stop for; `people` [N, 2]."""
        gaps = self._gaps(requested, people)
        safe = np.sqrt(2 * BRAKING * (gaps - STANDOFF).clip(0.0))
        self.speed = np.minimum(np.minimum(self.speed + ACCELERATION * dt, CRUISE), safe)
        self._s = self._s + self.speed * dt
        self.rolled = self.rolled + self.speed * dt
        self._place()

    def clear(self) -> NDArray[np.bool_]:
        """Crossings [C] that no car is on, nor so close to that it could not stop."""
        return (self._leave_free(self._ahead(self._start)) | np.isnan(self._start)).all(axis=0)

    def _place(self) -> None:
        self.position: Array = np.zeros((len(self._s), 2))
        self.heading: Array = np.zeros(len(self._s))
        for index, lane in enumerate(self._lanes):
            on = self._loop == index
            self.position[on], self.heading[on] = lane.at(self._s[on])

    def _ahead(self, places: Array) -> Array:
        """Metres from each car's front bumper to its row of places [M, ...] on its own lane."""
        return (places - (self._s + self._half)[:, None]) % self._round[:, None]

    def _leave_free(self, ahead: Array) -> NDArray[np.bool_]:
        """Whether each car is off each crossing, `ahead` [M, C] of it, and able to stop before."""
        off = ahead < self._round[:, None] - self._extent - 2 * self._half[:, None]
        # Half the standoff, not all of it: a car that brakes to the line is a step late on it.
        needed = self.speed**2 / (2 * BRAKING) + STANDOFF / 2
        return off & (ahead >= needed[:, None])

    def _gaps(self, requested: NDArray[np.bool_], people: Array) -> Array:
        """Metres [M] of free lane in front of each car."""
        tails = np.broadcast_to(self._s - self._half, self._others.shape)
        leaders = np.where(self._others, self._ahead(tails), np.inf)
        lines = self._ahead(self._start)
        lines = np.where(requested & self._leave_free(lines), lines, np.inf)
        gaps = np.minimum(leaders.min(axis=1, initial=np.inf), lines.min(axis=1, initial=np.inf))
        for index, lane in enumerate(self._lanes):
            backs = lane.people_on(people) - BACK
            if len(backs):
                nearest = self._ahead(np.broadcast_to(backs, (len(gaps), len(backs)))).min(axis=1)
                gaps = np.where(self._loop == index, np.minimum(gaps, nearest), gaps)
        return np.minimum(gaps, self._round)
