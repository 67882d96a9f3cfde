"""Where each pedestrian of a plan wants to go: waypoints along the pavements and over crossings.

Plain numbers: it knows neither JuPedSim nor cars. The same plan gives the same journeys.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from street.city.plan import Plan, Point, Walker

KERB_STOP = 1.1
"""Metres past the corner node at which people wait for a crossing."""
CORNER = 0.6
"""Metres before a corner node at which a walk along the pavement ends."""
CROSSING_LIKING = 0.35
"""How likely a walker takes a crossing at a corner, against 1 for a pavement."""


@dataclass(frozen=True)
class Leg:
    """One edge of the graph: `via` are points to pass in order. On a crossing (its index, else
    -1) the first of them is where to wait until it is clear.
    """

    crossing: int
    via: tuple[Point, ...]


def journeys(plan: Plan, metres: float) -> tuple[tuple[Leg, ...], ...]:
    """A journey of at least `metres` for each walker, beginning with the edge it stands on."""
    rng = np.random.default_rng([plan.seed, 2])
    return tuple(_journey(plan, walker, metres, rng) for walker in plan.walkers)


def _journey(
    plan: Plan, walker: Walker, metres: float, rng: np.random.Generator
) -> tuple[Leg, ...]:
    edge, node, legs = walker.edge, walker.to, []
    left = metres + walker.progress
    while left > 0:
        way = plan.walkways[edge]
        origin = way.a if node == way.b else way.b
        legs.append(_leg(plan, way.crossing, origin, node, walker.offset))
        left -= float(np.hypot(*np.subtract(plan.nodes[node], plan.nodes[origin])))
        edge, node = _next(plan, edge, node, rng)
    return tuple(legs)


def _leg(plan: Plan, crossing: int, origin: int, node: int, offset: float) -> Leg:
    """The edge's points, `offset` metres right of its middle line."""
    start, end = np.array(plan.nodes[origin]), np.array(plan.nodes[node])
    ahead = (end - start) / np.hypot(*(end - start))
    aside = offset * np.array([ahead[1], -ahead[0]])
    ends = [start + KERB_STOP * ahead, end - KERB_STOP * ahead]
    points = ends if crossing >= 0 else [end - CORNER * ahead]
    return Leg(crossing, tuple((float(x), float(y)) for x, y in (p + aside for p in points)))


def _next(plan: Plan, edge: int, node: int, rng: np.random.Generator) -> tuple[int, int]:
    """Another edge that leaves `node`, and the node at its other end."""
    ways = [
        (index, way.b if way.a == node else way.a)
        for index, way in enumerate(plan.walkways)
        if node in (way.a, way.b) and index != edge
    ]
    liking = [CROSSING_LIKING if plan.walkways[i].crossing >= 0 else 1.0 for i, _ in ways]
    return ways[int(rng.choice(len(ways), p=np.array(liking) / sum(liking)))]
