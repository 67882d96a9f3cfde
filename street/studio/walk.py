"""Simulates a plan's pedestrians with JuPedSim, and its cars, which stop for them.

    python -m street.studio.walk REQUEST.json --out OUT.npz

A program of the studio interpreter. The request holds `plan`, `fps`, `frames` and `warm_up` in
seconds. The answer, frame by frame (F frames, N people, M cars): `position` [F, N, 2], `heading`
[F, N] radians, `walked` [F, N] metres, `swing` [F, N], `car_position` [F, M, 2], `car_heading`
[F, M], `rolled` [F, M]. Equal requests give equal bytes: steps have a fixed length, and the
model a fixed seed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import jupedsim
import numpy as np
import shapely
from numpy.typing import NDArray

from street.city.plan import KERB_STRIP, Plan, Rect, from_dict
from street.city.routes import RouteLeg, other_end, start_position, walking_routes
from street.city.traffic import Traffic

Array = NDArray[np.float64]

TICK = 0.0125
"""The longest step in seconds; a frame is cut into equal steps no longer than this."""
RADIUS = 0.25
"""Metres: half the room that a person takes."""
REACHED = 0.7
"""Metres from a waypoint at which it counts as passed."""
TURN_TIME = 0.22
SWING_TIME = 0.2
MODEL_SEED = 1
MOST_REASON = 400
TRACKS = ("position", "heading", "walked", "swing", "car_position", "car_heading", "rolled")


def walkable_area(plan: Plan) -> Any:
    """The walked bands of all pavements and the crossings between them, one shapely polygon."""
    reach = KERB_STRIP + 0.6
    areas = list(plan.walkable)
    for crossing in plan.crossings:
        a, grow = crossing.area, (reach, -0.15) if crossing.axis == 0 else (-0.15, reach)
        areas.append(Rect(a.x0 - grow[0], a.y0 - grow[1], a.x1 + grow[0], a.y1 + grow[1]))
    union = shapely.union_all([shapely.box(r.x0, r.y0, r.x1, r.y1) for r in areas])
    assert union.geom_type == "Polygon", "the pavements are connected by crossings"
    return union


class PedestrianSimulation:
    """JuPedSim's simulation of a plan's walkers, and each one's place on its route."""

    def __init__(self, plan: Plan, seconds: float, dt: float) -> None:
        model = jupedsim.AnticipationVelocityModel(rng_seed=MODEL_SEED)
        self._simulation = jupedsim.Simulation(model=model, geometry=walkable_area(plan), dt=dt)
        fastest = max(walker.speed for walker in plan.walkers)
        routes = walking_routes(plan, 10.0 + seconds * fastest)
        self._walks = [self._journey(route) for route in routes]
        self._agents = [
            self._simulation.add_agent(
                jupedsim.AnticipationVelocityModelAgentParameters(
                    position=start_position(walker, plan.nodes, plan.walkways),
                    desired_speed=walker.speed,
                    radius=RADIUS,
                    journey_id=walk.journey,
                    stage_id=walk.stages[0],
                )
            )
            for walker, walk in zip(plan.walkers, self._walks, strict=True)
        ]

    def step(self, clear: NDArray[np.bool_]) -> None:
        """One tick; people who wait at a crossing that is `clear` [C] step onto it."""
        for agent, crossing, after in self._waiting():
            if clear[crossing]:
                walk = self._walks[self._agents.index(agent)]
                self._simulation.switch_agent_journey(agent, walk.journey, after)
        self._simulation.iterate()

    def position(self) -> Array:
        """[N, 2] metres."""
        return np.array([self._simulation.agent(agent).position for agent in self._agents])

    def requested(self, crossings: int) -> NDArray[np.bool_]:
        """Crossings [C] that somebody is on or waits at."""
        asked = np.zeros(crossings, bool)
        for _, crossing, _ in self._waiting():
            asked[crossing] = True
        for agent, walk in zip(self._agents, self._walks, strict=True):
            on = walk.over.get(self._simulation.agent(agent).stage_id, -1)
            if on >= 0:
                asked[on] = True
        return asked

    def _waiting(self) -> list[tuple[int, int, int]]:
        """Agent, crossing and the stage beyond it, of everybody at a kerb."""
        waiting = []
        for agent, walk in zip(self._agents, self._walks, strict=True):
            state = self._simulation.agent(agent)
            crossing = walk.kerbs.get(state.stage_id)
            if crossing is not None:
                stop = walk.places[state.stage_id]
                if math.dist(state.position, stop) < 2 * REACHED:
                    after = walk.stages[walk.stages.index(state.stage_id) + 1]
                    waiting.append((agent, crossing, after))
        return waiting

    def _journey(self, legs: tuple[RouteLeg, ...]) -> _Journey:
        """A journey of stages: waypoints, and at each kerb a place to wait."""
        stages, places = [], {}
        kerbs: dict[int, int] = {}
        over: dict[int, int] = {}
        for leg in legs:
            for index, point in enumerate(leg.via):
                kerb = leg.crossing >= 0 and index == 0
                stage = (
                    self._simulation.add_waiting_set_stage([point])
                    if kerb
                    else self._simulation.add_waypoint_stage(point, REACHED)
                )
                if leg.crossing >= 0:
                    (kerbs if kerb else over)[stage] = leg.crossing
                stages.append(stage)
                places[stage] = point
        description = jupedsim.JourneyDescription(stages)
        for here, after in pairwise(stages):
            description.set_transition_for_stage(
                here, jupedsim.Transition.create_fixed_transition(after)
            )
        journey = self._simulation.add_journey(description)
        return _Journey(journey, tuple(stages), places, kerbs, over)


@dataclass(frozen=True)
class _Journey:
    """Stages of one journey in order; their places; the crossing that each kerb stage waits for,
    and the one that each stage over the road is the far end of.
    """

    journey: int
    stages: tuple[int, ...]
    places: dict[int, tuple[float, float]]
    kerbs: dict[int, int]
    over: dict[int, int]


class Gait:
    """The animation of walking people: `heading`, `walked` and `swing`, each [N]."""

    def __init__(self, plan: Plan) -> None:
        starts = [other_end(plan.walkways[w.edge], w.to) for w in plan.walkers]
        ahead = np.array(plan.nodes)[[w.to for w in plan.walkers]] - np.array(plan.nodes)[starts]
        self.heading: Array = np.arctan2(ahead[:, 1], ahead[:, 0])
        self.walked: Array = np.linspace(0.0, 1.3, len(plan.walkers))
        self.swing: Array = np.zeros(len(plan.walkers))

    def step(self, velocity: Array, dt: float) -> None:
        """Follow the bodies' `velocity` [N, 2] for `dt` seconds."""
        speed = np.sqrt((velocity**2).sum(axis=1))
        self.walked = self.walked + speed * dt
        self.swing = self.swing + ((speed / 1.25).clip(0.0, 1.4) - self.swing) * dt / SWING_TIME
        turn = np.arctan2(velocity[:, 1], velocity[:, 0]) - self.heading
        turn = (turn + np.pi) % (2 * np.pi) - np.pi
        self.heading = self.heading + turn * dt / TURN_TIME * (speed / 0.6).clip(0.0, 1.0)


def walk(plan: Plan, *, fps: float, frames: int, warm_up: float) -> dict[str, Array]:
    """The tracks that the module's head describes. Raises RuntimeError when JuPedSim fails."""
    ticks = math.ceil(1 / fps / TICK - 1e-9)
    dt = 1 / fps / ticks
    lead = math.ceil(warm_up * fps)
    pedestrians = PedestrianSimulation(plan, (lead + frames) / fps, dt)
    traffic, gait = Traffic(plan), Gait(plan)
    rows: list[tuple[Array, ...]] = []
    here = pedestrians.position()
    for frame in range(lead + frames):
        if frame >= lead:
            people = (here.copy(), gait.heading, gait.walked, gait.swing)
            rows.append((*people, traffic.position, traffic.heading, traffic.rolled))
        for _ in range(ticks):
            traffic.step(dt, pedestrians.requested(len(plan.crossings)), here)
            pedestrians.step(traffic.clear())
            before, here = here, pedestrians.position()
            gait.step((here - before) / dt, dt)
    tracks = [np.stack(track) for track in zip(*rows, strict=True)]
    return dict(zip(TRACKS, tracks, strict=True))


def main(arguments: Sequence[str]) -> int:
    """Run the program; 1, with a line on stderr, when the request cannot be walked."""
    parser = argparse.ArgumentParser("walk", description=__doc__)
    parser.add_argument("request", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    chosen = parser.parse_args(arguments)
    try:
        request = json.loads(chosen.request.read_text(encoding="utf-8"))
        plan = from_dict(request.pop("plan"))
        tracks: dict[str, Any] = walk(plan, **request)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:MOST_REASON]
        print(f"{chosen.request} cannot be walked: {reason}", file=sys.stderr)
        return 1
    part = chosen.out.with_name(f".{chosen.out.name}.part.npz")
    np.savez(part, **tracks)
    part.replace(chosen.out)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
