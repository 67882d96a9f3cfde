"""The city in motion: pedestrians and cars advanced together, and where all their parts are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from street.city.crowd import Command, Crowd
from street.city.figure import PARTS
from street.city.plan import Plan
from street.city.poses import CAR_PARTS, car_poses, figure_poses, placed
from street.city.traffic import Traffic

Array = NDArray[np.float64]


class World:
    """One plan and the state of everything in it that moves."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.crowd = Crowd(plan)
        self.traffic = Traffic(plan)
        self._heights = np.array([walker.height for walker in plan.walkers])
        self._models = tuple(car.look for car in plan.cars)

    def step(self, dt: float, command: Command | None = None) -> None:
        """Advance by `dt` seconds (at most 1/50). Cars go first: they yield to those who wait at a
        crossing, and people enter it only when the cars of this very step leave it clear.
        """
        self.traffic.step(dt, self.crowd.requested(), self.crowd.position)
        self.crowd.step(dt, self.traffic.clear(), command)

    @property
    def character(self) -> tuple[Array, float]:
        """The feet [3] of the character that the camera follows, and its heading in radians."""
        feet = np.append(self.crowd.position[0], self.crowd.ground()[0])
        return feet, float(self.crowd.heading[0])

    def parts(self) -> Array:
        """World matrices [K, 4, 4], row-vector, of all moving parts: people first, then cars.

        `K = 7 * people + 5 * cars`; the order inside each is that of `poses`.
        """
        crowd, traffic = self.crowd, self.traffic
        feet = np.column_stack([crowd.position, crowd.ground()])
        people = figure_poses(feet, crowd.heading, crowd.walked, crowd.swing, self._heights)
        wheels = np.column_stack([traffic.position, np.zeros(len(self._models))])
        cars = car_poses(wheels, traffic.heading, traffic.rolled, self._models)
        return np.concatenate([people.reshape(-1, 4, 4), cars.reshape(-1, 4, 4)])

    def shadows(self) -> Array:
        """World matrices [people + cars, 4, 4] of the ground under everyone and every car."""
        crowd, traffic = self.crowd, self.traffic
        feet = np.column_stack([crowd.position, crowd.ground()])
        wheels = np.column_stack([traffic.position, np.zeros(len(self._models))])
        below = placed(feet, np.zeros(len(feet))), placed(wheels, traffic.heading)
        return np.concatenate(below)

    @property
    def part_count(self) -> int:
        return len(PARTS) * len(self.plan.walkers) + CAR_PARTS * len(self.plan.cars)
