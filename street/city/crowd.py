"""Pedestrians: they follow the pavement graph, wait at crossings and walk around one another.

Advances in fixed steps and draws from a seed, so that equal calls give equal walks. It knows the
plan and which crossings are clear; it knows neither cars nor rendering.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from street.city.plan import KERB, KERB_STRIP, Plan, Rect
from street.city.routes import next_edge, other_end, start_position
from street.city.steering import (
    Array,
    as_array,
    avoidance,
    held_inside,
    held_outside,
    pushed_apart,
)

REACTION = 0.35
"""Seconds in which a walker takes on the velocity that it wants."""
LOOK_AHEAD = 1.6
"""Metres along its line at which a walker aims."""
TURN_TIME = 0.22
WAIT_LINE = 1.1
"""Metres past the corner node at which people wait for a crossing."""
CORNER_CUT = 0.5
SETTLING_ROUNDS = 12


@dataclass(frozen=True)
class Command:
    """A player's control of walker 0: a velocity (x, y) in metres per second in world axes."""

    velocity: tuple[float, float]


class Crowd:
    """The state of all pedestrians, arrays over N people.

    `position` and `velocity` [N, 2], `heading` [N] radians, `walked` [N] metres, `swing` [N] how
    far the legs swing, 0 standing and 1 at a walk.
    """

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        walkers = plan.walkers
        self.position: Array = np.array(
            [start_position(w, plan.nodes, plan.walkways) for w in walkers], float
        )
        self.velocity: Array = np.zeros_like(self.position)
        self.walked: Array = np.linspace(0.0, 1.3, len(walkers))
        self.swing: Array = np.zeros(len(walkers))
        self._speed = np.array([w.speed for w in walkers])
        self._offset = np.array([w.offset for w in walkers])
        self._nodes = np.array(plan.nodes, float)
        self._edge = np.array([w.edge for w in walkers])
        self._to = np.array([w.to for w in walkers])
        self._from = np.array([other_end(plan.walkways[w.edge], w.to) for w in walkers])
        self._committed = np.zeros(len(walkers), bool)
        self._crossing_of_edge = np.array([way.crossing for way in plan.walkways])
        self._rng = np.random.default_rng([plan.seed, 1])
        self._areas, self._area_crossing = _areas(plan)
        self._solid = as_array(tuple(b.footprint.inset(-0.35) for b in plan.buildings))
        self._blocks = as_array(plan.blocks)
        self._city = as_array((plan.bounds.inset(1.0),))
        ahead = self._ahead()
        self.heading: Array = np.arctan2(ahead[:, 1], ahead[:, 0])

    def step(self, dt: float, clear: NDArray[np.bool_], command: Command | None = None) -> None:
        """Advance by `dt` seconds (at most 1/50). `clear` [C]: crossings that may be entered.

        With a command, walker 0 obeys it and may leave the pavement, but neither enters a
        building nor leaves the city.
        """
        self._enter_crossings(clear)
        wanted = self._wanted()
        pushed = avoidance(self.position, self.velocity)
        if command is not None:
            wanted[0], pushed[0] = command.velocity, 0.0
        self.velocity += ((wanted - self.velocity) / REACTION + pushed) * dt
        before = self.position
        self.position = self._settled(before + self.velocity * dt, free=command is not None)
        self._stride((self.position - before) / dt, dt)
        self._next_edges()

    def requested(self) -> NDArray[np.bool_]:
        """Crossings [C] that somebody is on, or waits for."""
        wanted = self._crossing_of_edge[self._edge]
        asking = (wanted >= 0) & (self._committed | (self._progress() > 0.0))
        requested = np.zeros(len(self.plan.crossings), bool)
        requested[wanted[asking]] = True
        return requested

    def ground(self) -> Array:
        """Height [N] of the ground under each person: the kerb is a short ramp for them."""
        nearest = np.clip(self.position[:, None], self._blocks[:, :2], self._blocks[:, 2:])
        away = np.sqrt(((nearest - self.position[:, None]) ** 2).sum(axis=2)).min(axis=1)
        return KERB * (1 - away / 0.35).clip(0.0)

    def restart(self, person: int, position: tuple[float, float]) -> None:
        """Put one person back to the edge where its walk began, at `position`."""
        walker = self.plan.walkers[person]
        self._edge[person], self._to[person] = walker.edge, walker.to
        self._from[person] = other_end(self.plan.walkways[walker.edge], walker.to)
        self._committed[person] = False
        ahead = self._ahead()[person]
        self.position[person], self.velocity[person] = position, 0.0
        self.heading[person] = np.arctan2(ahead[1], ahead[0])

    def _ahead(self) -> Array:
        """Unit vectors [N, 2] along each person's edge."""
        line = self._nodes[self._to] - self._nodes[self._from]
        return line / np.sqrt((line**2).sum(axis=1, keepdims=True))

    def _progress(self) -> Array:
        """Metres [N] along the edge, negative before its first node."""
        return ((self.position - self._nodes[self._from]) * self._ahead()).sum(axis=1)

    def _length(self) -> Array:
        line = self._nodes[self._to] - self._nodes[self._from]
        return np.sqrt((line**2).sum(axis=1))

    def _waiting(self) -> NDArray[np.bool_]:
        return (self._crossing_of_edge[self._edge] >= 0) & ~self._committed

    def _enter_crossings(self, clear: NDArray[np.bool_]) -> None:
        """Those at a crossing that is clear step onto it."""
        crossing = self._crossing_of_edge[self._edge]
        free = np.append(clear, False)[crossing]
        self._committed |= self._waiting() & free & (self._progress() > 0.0)

    def _wanted(self) -> Array:
        """Velocities [N, 2] towards a point ahead on each one's line, right of its middle."""
        ahead, progress = self._ahead(), self._progress()
        right = np.stack([ahead[:, 1], -ahead[:, 0]], axis=1)
        reach = progress + LOOK_AHEAD
        waiting = self._waiting()
        reach[waiting] = WAIT_LINE
        aim = self._nodes[self._from] + ahead * reach[:, None] + right * self._offset[:, None]
        way = aim - self.position
        distance = np.sqrt((way**2).sum(axis=1, keepdims=True)) + 1e-9
        speed = np.where(waiting, np.minimum(self._speed, 1.2 * distance[:, 0]), self._speed)
        return way / distance * speed[:, None]

    def _settled(self, position: Array, *, free: bool) -> Array:
        """Positions with nobody too close to another and everybody where they may walk."""
        allowed = self._allowed()
        for _ in range(SETTLING_ROUNDS):
            apart = pushed_apart(position)
            held = held_inside(apart, self._areas, allowed)
            if free:
                here = np.clip(apart[:1], self._city[:, :2], self._city[:, 2:])
                held[:1] = held_outside(here, self._solid)
            if np.abs(held - position).max() < 1e-4:
                return held
            position = held
        return position

    def _allowed(self) -> NDArray[np.bool_]:
        """[N, R]: all pavements, and the one crossing that a person has stepped onto."""
        mine = np.where(self._committed, self._crossing_of_edge[self._edge], -2)
        return (self._area_crossing[None] == -1) | (self._area_crossing[None] == mine[:, None])

    def _stride(self, velocity: Array, dt: float) -> None:
        """Legs and heading follow the velocity after people were pushed apart, not the wanted one:
        otherwise feet would slide.
        """
        self.velocity = velocity
        speed = np.sqrt((velocity**2).sum(axis=1))
        self.walked = self.walked + speed * dt
        self.swing = self.swing + ((speed / 1.25).clip(0.0, 1.4) - self.swing) * min(1.0, dt / 0.2)
        turn = np.arctan2(velocity[:, 1], velocity[:, 0]) - self.heading
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        eager = min(1.0, dt / TURN_TIME) * (speed / 0.6).clip(0.0, 1.0)
        self.heading = self.heading + turn * eager

    def _next_edges(self) -> None:
        """Those at the end of their edge turn into another one."""
        for person in np.flatnonzero(self._progress() > self._length() - CORNER_CUT):
            node = int(self._to[person])
            turn = next_edge(self.plan, int(self._edge[person]), node, self._rng)
            self._from[person] = node
            self._edge[person], self._to[person] = turn
            self._committed[person] = False


def _areas(plan: Plan) -> tuple[Array, NDArray[np.int64]]:
    """Rectangles [R, 4] to walk in, and the crossing [R] that each belongs to, -1 on pavements.

    A crossing reaches over the kerb strip at both ends to the walked part of the pavement.
    """
    reach = KERB_STRIP + 0.6
    lanes = []
    for crossing in plan.crossings:
        a, grow = crossing.area, (reach, -0.25) if crossing.axis == 0 else (-0.25, reach)
        lanes.append(Rect(a.x0 - grow[0], a.y0 - grow[1], a.x1 + grow[0], a.y1 + grow[1]))
    crossing_of = [-1] * len(plan.walkable) + list(range(len(lanes)))
    return as_array((*plan.walkable, *lanes)), np.array(crossing_of)
