"""Who walks where on the pavement graph: where walkers start, which way they turn, whole routes.

Everything random is drawn from generators that follow from the plan's seed: the same plan gives
the same routes on every machine. It knows neither JuPedSim nor cars.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from street.city.palette import HAIRS, SHIRTS, SKINS, TROUSERS, pick
from street.city.plan import Plan, Point, Walker, Walkway

START_GAP = 1.2
KERB_STOP = 1.1
"""Metres past the corner node at which people wait for a crossing."""
CORNER = 0.6
"""Metres before a corner node at which a walk along the pavement ends."""
CROSSING_PREFERENCE = 0.35
"""How likely a walker takes a crossing at a corner, against 1 for a pavement."""


@dataclass(frozen=True)
class RouteLeg:
    """One edge of the graph: `via` are points to pass in order. On a crossing (its index, else
    -1) the first of them is where to wait until it is clear.
    """

    crossing: int
    via: tuple[Point, ...]


def plan_walkers(
    rng: np.random.Generator,
    count: int,
    nodes: Sequence[Point],
    walkways: Sequence[Walkway],
) -> tuple[Walker, ...]:
    """Pedestrians spread over the pavements, at least `START_GAP` metres from one another.

    About half of them start on the first one's pavement, so that no frame is empty.
    """
    pavements = [index for index, way in enumerate(walkways) if way.crossing < 0]
    home = pick(rng, pavements)
    walkers: list[Walker] = []
    taken: list[Point] = []
    while len(walkers) < count:
        edge = home if not walkers or rng.random() < 0.5 else pick(rng, pavements)
        walker = _walker(rng, edge, nodes, walkways[edge])
        place = start_position(walker, nodes, walkways)
        if all(np.hypot(place[0] - x, place[1] - y) >= START_GAP for x, y in taken):
            walkers.append(walker)
            taken.append(place)
    return tuple(walkers)


def _walker(rng: np.random.Generator, edge: int, nodes: Sequence[Point], way: Walkway) -> Walker:
    length = float(np.hypot(*np.subtract(nodes[way.a], nodes[way.b])))
    return Walker(
        height=float(rng.uniform(1.58, 1.90)),
        speed=float(rng.uniform(1.05, 1.50)),
        shirt=pick(rng, SHIRTS),
        trousers=pick(rng, TROUSERS),
        skin=pick(rng, SKINS),
        hair=pick(rng, HAIRS),
        edge=edge,
        to=way.a if rng.random() < 0.5 else way.b,
        progress=float(rng.uniform(1.0, length - 1.0)),
        offset=float(rng.uniform(0.25, 0.95)),
    )


def start_position(walker: Walker, nodes: Sequence[Point], walkways: Sequence[Walkway]) -> Point:
    """Where a walker is at time 0."""
    way = walkways[walker.edge]
    goal = np.array(nodes[walker.to])
    origin = np.array(nodes[other_end(way, walker.to)])
    ahead = (goal - origin) / np.hypot(*(goal - origin))
    right = np.array([ahead[1], -ahead[0]])
    place = origin + ahead * walker.progress + right * walker.offset
    return float(place[0]), float(place[1])


def other_end(way: Walkway, node: int) -> int:
    """The node at the other end of an edge."""
    return way.a if node == way.b else way.b


def next_edge(plan: Plan, edge: int, node: int, rng: np.random.Generator) -> tuple[int, int]:
    """Another edge that leaves `node`, seldom a crossing, and the node at its other end."""
    ways = [
        (index, other_end(way, node))
        for index, way in enumerate(plan.walkways)
        if node in (way.a, way.b) and index != edge
    ]
    weights = [CROSSING_PREFERENCE if plan.walkways[i].crossing >= 0 else 1.0 for i, _ in ways]
    return ways[int(rng.choice(len(ways), p=np.array(weights) / sum(weights)))]


def walking_routes(plan: Plan, metres: float) -> tuple[tuple[RouteLeg, ...], ...]:
    """A route of at least `metres` for each walker, beginning with the edge it starts on."""
    rng = np.random.default_rng([plan.seed, 2])
    return tuple(_route(plan, walker, metres, rng) for walker in plan.walkers)


def _route(
    plan: Plan, walker: Walker, metres: float, rng: np.random.Generator
) -> tuple[RouteLeg, ...]:
    edge, node, legs = walker.edge, walker.to, []
    left = metres + walker.progress
    while left > 0:
        way = plan.walkways[edge]
        origin = other_end(way, node)
        legs.append(_leg(plan, way.crossing, origin, node, walker.offset))
        left -= float(np.hypot(*np.subtract(plan.nodes[node], plan.nodes[origin])))
        edge, node = next_edge(plan, edge, node, rng)
    return tuple(legs)


def _leg(plan: Plan, crossing: int, origin: int, node: int, offset: float) -> RouteLeg:
    """The edge's points, `offset` metres right of its middle line."""
    start, end = np.array(plan.nodes[origin]), np.array(plan.nodes[node])
    ahead = (end - start) / np.hypot(*(end - start))
    aside = offset * np.array([ahead[1], -ahead[0]])
    ends = [start + KERB_STOP * ahead, end - KERB_STOP * ahead]
    points = ends if crossing >= 0 else [end - CORNER * ahead]
    return RouteLeg(crossing, tuple((float(x), float(y)) for x, y in (p + aside for p in points)))
