"""Plans a city block from a seed: one block with a ring of streets, and eight blocks around it.

This module decides, `plan` holds the result, and other modules make meshes of it. The same seed and
counts always give the same plan.
"""

from __future__ import annotations

import numpy as np

from street.city.kerbside import car_model, frontages, plan_furniture, plan_parked
from street.city.palette import ACCENTS, TRIMS, WALLS, pick
from street.city.pavement import crossings_and_graph
from street.city.plan import (
    KERB_STRIP,
    LANE,
    PARKING,
    PAVEMENT,
    STREET,
    WALL_STRIP,
    Building,
    MovingCar,
    Plan,
    Point,
    Rect,
    Side,
)
from street.city.routes import plan_walkers

OUTER_BLOCK = 72.0


def plan_city(seed: int, *, people: int = 14, cars: int = 6) -> Plan:
    """A city for `seed` with `people` pedestrians (1 .. 40, the followed one included) and `cars`
    driving cars (0 .. 12). Raises ValueError when a count is out of range.
    """
    if not 1 <= people <= 40:
        raise ValueError(f"people is {people}; the pavements hold 1 to 40")
    if not 0 <= cars <= 12:
        raise ValueError(f"cars is {cars}; the two loops hold 0 to 12")
    rng = np.random.default_rng(seed)
    blocks = _blocks(rng)
    sides = [f for index in range(9) for f in frontages(blocks[index], index)]
    crossings, nodes, walkways = crossings_and_graph(blocks)
    trees, lamps = plan_furniture(rng, sides)
    loops = _loops(blocks[4])
    return Plan(
        seed=seed,
        bounds=Rect(blocks[0].x0, blocks[0].y0, blocks[8].x1, blocks[8].y1),
        blocks=blocks,
        pavements=tuple(r for b in blocks for r in _ring(b, 0.0, PAVEMENT)),
        walkable=tuple(r for b in blocks for r in _ring(b, KERB_STRIP, PAVEMENT - WALL_STRIP)),
        crossings=crossings,
        buildings=tuple(b for index in range(9) for b in _buildings(rng, blocks, index)),
        skyline=_skyline(rng, blocks),
        trees=trees,
        lamps=lamps,
        parked=plan_parked(rng, sides),
        loops=loops,
        cars=_moving_cars(rng, loops, cars),
        nodes=nodes,
        walkways=walkways,
        walkers=plan_walkers(rng, people, nodes, walkways),
    )


def _blocks(rng: np.random.Generator) -> tuple[Rect, ...]:
    """Nine kerb outlines, row by row from the south-west; block 4 is the middle one, around 0."""
    x, y = float(rng.uniform(22, 28)), float(rng.uniform(17, 22))
    spans = []
    for half in (x, y):
        near, far = half + STREET, half + STREET + OUTER_BLOCK
        spans.append(((-far, -near), (-half, half), (near, far)))
    return tuple(Rect(x0, y0, x1, y1) for y0, y1 in spans[1] for x0, x1 in spans[0])


def _ring(block: Rect, outer: float, inner: float) -> tuple[Rect, ...]:
    """The frame of `block` between `outer` and `inner` metres from its kerb, as four bands."""
    a, b = block.inset(outer), block.inset(inner)
    return (
        Rect(a.x0, a.y0, a.x1, b.y0),
        Rect(a.x0, b.y1, a.x1, a.y1),
        Rect(a.x0, a.y0, b.x0, a.y1),
        Rect(b.x1, a.y0, a.x1, a.y1),
    )


def _split(rng: np.random.Generator, lot: Rect, longest: float) -> list[Rect]:
    """Cuts a lot across its longer side until no side is longer than `longest` metres."""
    width, depth = lot.size
    if max(width, depth) <= longest:
        return [lot]
    share = float(rng.uniform(0.4, 0.6))
    if width >= depth:
        cut = lot.x0 + width * share
        halves = Rect(lot.x0, lot.y0, cut, lot.y1), Rect(cut, lot.y0, lot.x1, lot.y1)
    else:
        cut = lot.y0 + depth * share
        halves = Rect(lot.x0, lot.y0, lot.x1, cut), Rect(lot.x0, cut, lot.x1, lot.y1)
    return [part for half in halves for part in _split(rng, half, longest)]


def _buildings(rng: np.random.Generator, blocks: tuple[Rect, ...], index: int) -> list[Building]:
    """Fills a block with buildings; lots without a street side stay empty courtyards."""
    interior = blocks[index].inset(PAVEMENT)
    facing = {f.side for f in frontages(blocks[index], index)}
    buildings = []
    for lot in _split(rng, interior, 19.0):
        edges: dict[Side, bool] = {
            "south": lot.y0 == interior.y0,
            "east": lot.x1 == interior.x1,
            "north": lot.y1 == interior.y1,
            "west": lot.x0 == interior.x0,
        }
        sides = tuple(side for side, outer in edges.items() if outer and side in facing)
        if sides:
            buildings.append(_building(rng, lot, sides, low=index == 4))
    return buildings


def _building(
    rng: np.random.Generator, lot: Rect, sides: tuple[Side, ...], *, low: bool
) -> Building:
    return Building(
        footprint=lot,
        floors=int(rng.integers(3, 5)) if low else int(rng.integers(3, 8)),
        style=pick(rng, ("punched", "ribbon", "tall")),
        street_sides=sides,
        wall=pick(rng, WALLS),
        trim=pick(rng, TRIMS),
        accent=pick(rng, ACCENTS),
    )


def _skyline(rng: np.random.Generator, blocks: tuple[Rect, ...]) -> tuple[tuple[Rect, float], ...]:
    """Towers beyond the outer blocks, so that the streets end in a city and not in a void."""
    far_x, far_y = blocks[8].x1 + 45, blocks[8].y1 + 45
    towers = []
    for angle in np.linspace(0, 2 * np.pi, 44, endpoint=False):
        turn = float(angle + rng.uniform(-0.05, 0.05))
        reach = float(rng.uniform(1.0, 1.35))
        x, y = reach * far_x * np.cos(turn) * 1.2, reach * far_y * np.sin(turn) * 1.2
        half = float(rng.uniform(7, 12))
        footprint = Rect(float(x) - half, float(y) - half, float(x) + half, float(y) + half)
        towers.append((footprint, float(rng.uniform(18, 52))))
    return tuple(towers)


def _loops(middle: Rect) -> tuple[tuple[Point, ...], ...]:
    """Two lanes around the middle block: the near one clockwise, the far one against it.

    Traffic keeps right, so the two never cross and a car can drive for ever.
    """
    near = _rounded(middle.inset(-(PARKING + LANE / 2)), 5.5)
    far = _rounded(middle.inset(-(PARKING + 1.5 * LANE)), 8.0)
    return near[::-1], far


def _rounded(rect: Rect, radius: float) -> tuple[Point, ...]:
    """The outline of `rect` with round corners, counter-clockwise, a point every half metre."""
    inner = rect.inset(radius)
    corners = (
        (inner.x1, inner.y1),
        (inner.x0, inner.y1),
        (inner.x0, inner.y0),
        (inner.x1, inner.y0),
    )
    arc = np.linspace(0, np.pi / 2, 24)
    turns = [arc + quarter * np.pi / 2 for quarter in range(4)]
    arcs = [
        np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)
        for (x, y), turn in zip(corners, turns, strict=True)
    ]
    knots = np.concatenate([*arcs, arcs[0][:1]])
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(knots, axis=0).T))])
    at = np.linspace(0, lengths[-1], int(lengths[-1] / 0.5), endpoint=False)
    xs, ys = (np.interp(at, lengths, axis).tolist() for axis in knots.T)
    return tuple(zip(xs, ys, strict=True))


def _moving_cars(
    rng: np.random.Generator, loops: tuple[tuple[Point, ...], ...], count: int
) -> tuple[MovingCar, ...]:
    """Cars dealt to the loops in turn, evenly spaced on each with a little disorder."""
    cars = []
    for index in range(count):
        loop, place = index % 2, index // 2
        on_loop = (count + 1 - loop) // 2
        share = (place + float(rng.uniform(0.0, 0.3))) / on_loop
        cars.append(MovingCar(loop, share * len(loops[loop]) * 0.5, car_model(rng)))
    return tuple(cars)
