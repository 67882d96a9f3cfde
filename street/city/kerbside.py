"""What is along the kerbs: trees, lamp posts and parked cars on the street sides of a block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from street.city.palette import LEAVES, PAINTS, pick
from street.city.plan import (
    FURNITURE,
    PARKING,
    CarModel,
    LampPost,
    ParkedCar,
    Point,
    Rect,
    Side,
    Tree,
)

CORNER_CLEARANCE = 7.5
"""Metres from a corner that stay free of trees, lamps and parked cars."""


@dataclass(frozen=True)
class Frontage:
    """One kerb line of a block. `along` runs clockwise around the block, so right-hand traffic
    beside the kerb drives that way; `outward` points over the street. Both are headings.
    """

    side: Side
    start: Point
    length: float
    along: float

    @property
    def outward(self) -> float:
        """Heading from the block into the street."""
        return self.along + math.pi / 2

    def at(self, distance: float, out: float) -> Point:
        """The point `distance` metres along the kerb and `out` metres into the street."""
        x, y = self.start
        return (
            x + distance * math.cos(self.along) + out * math.cos(self.outward),
            y + distance * math.sin(self.along) + out * math.sin(self.outward),
        )


def frontages(block: Rect, index: int) -> tuple[Frontage, ...]:
    """The sides of block `index` (0 .. 8, row by row from the south-west) that face a street."""
    column, row = index % 3, index // 3
    width, depth = block.size
    sides = []
    if row > 0:
        sides.append(Frontage("south", (block.x1, block.y0), width, math.pi))
    if column < 2:
        sides.append(Frontage("east", (block.x1, block.y1), depth, -math.pi / 2))
    if row < 2:
        sides.append(Frontage("north", (block.x0, block.y1), width, 0.0))
    if column > 0:
        sides.append(Frontage("west", (block.x0, block.y0), depth, math.pi / 2))
    return tuple(sides)


def plan_furniture(
    rng: np.random.Generator, sides: Sequence[Frontage]
) -> tuple[tuple[Tree, ...], tuple[LampPost, ...]]:
    """Trees and lamp posts along every kerb, a slot each 4.6 m, every fifth one a lamp."""
    trees, lamps = [], []
    for side in sides:
        for slot, along in enumerate(np.arange(CORNER_CLEARANCE, side.length - 6.0, 4.6)):
            if slot % 5 == 2:
                place = side.at(float(along), -FURNITURE)
                lamps.append(LampPost(place, side.outward))
            elif slot % 5 != 1 and rng.random() < 0.6:
                trees.append(_tree(rng, side.at(float(along), -FURNITURE)))
    return tuple(trees), tuple(lamps)


def _tree(rng: np.random.Generator, position: Point) -> Tree:
    return Tree(
        position=position,
        trunk=float(rng.uniform(3.1, 3.7)),
        crown=float(rng.uniform(1.25, 1.75)),
        leaf=pick(rng, LEAVES),
        seed=int(rng.integers(1 << 16)),
    )


def car_model(rng: np.random.Generator) -> CarModel:
    """A random kind and paint."""
    return CarModel(pick(rng, ("sedan", "sedan", "hatch", "van")), pick(rng, PAINTS))


def plan_parked(rng: np.random.Generator, sides: Sequence[Frontage]) -> tuple[ParkedCar, ...]:
    """Cars at the kerb, heading the way that right-hand traffic drives on that side."""
    cars = []
    for side in sides:
        for along in np.arange(CORNER_CLEARANCE + 2.5, side.length - CORNER_CLEARANCE - 2.5, 6.0):
            if rng.random() < 0.42:
                place = side.at(float(along + rng.uniform(-0.3, 0.3)), PARKING / 2 + 0.05)
                cars.append(ParkedCar(place, side.along, car_model(rng)))
    return tuple(cars)
