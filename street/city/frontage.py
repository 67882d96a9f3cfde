"""The street sides of a block: lines along the kerb to put things on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from street.city.plan import Point, Rect, Side


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
