"""Meshes of the ground: asphalt, pavements, kerbs, lane markings and zebra stripes.

Layers lie in one plane where they can: draw them in the order earth, markings, pavements, joints,
each over the last.
"""

from __future__ import annotations

import numpy as np

from street.city.mesh import Mesh, join
from street.city.plan import KERB, PAVEMENT, STREET, Colour, Crossing, Plan, Rect
from street.city.shapes import boxes, flats

ASPHALT: Colour = (0.36, 0.37, 0.39)
GRASS: Colour = (0.56, 0.66, 0.46)
SLAB: Colour = (0.74, 0.72, 0.69)
KERB_STONE: Colour = (0.62, 0.61, 0.60)
JOINT: Colour = (0.67, 0.65, 0.63)
PAINT: Colour = (0.93, 0.93, 0.90)
JOINT_WIDTH = 0.06


def earth(plan: Plan) -> Mesh:
    """Meadow to the horizon, and asphalt under the whole city."""
    city = plan.bounds.inset(-8.0)
    return flats([(plan.bounds.inset(-500.0), -0.06, GRASS), (city, 0.0, ASPHALT)])


def pavements(plan: Plan, *, foot: float = 0.0) -> Mesh:
    """The raised slabs with their kerb stones, which stand at a height of `foot` metres."""
    stones = [((b.x0, b.y0, foot), (b.x1, b.y1, KERB), KERB_STONE) for b in plan.blocks]
    paved = [(block.inset(0.3), KERB, SLAB) for block in plan.blocks]
    return join([boxes(stones), flats(paved)])


def joints(plan: Plan) -> Mesh:
    """Thin lines across the pavements every 3 metres, on all sides of the blocks."""
    lines = []
    for block in plan.blocks:
        wall = block.inset(PAVEMENT)
        for x in np.arange(block.x0 + 3.0, block.x1 - 2.0, 3.0):
            for y0, y1 in ((block.y0 + 0.3, wall.y0), (wall.y1, block.y1 - 0.3)):
                lines.append(Rect(float(x), y0, float(x) + JOINT_WIDTH, y1))
        for y in np.arange(block.y0 + 3.0, block.y1 - 2.0, 3.0):
            for x0, x1 in ((block.x0 + 0.3, wall.x0), (wall.x1, block.x1 - 0.3)):
                lines.append(Rect(x0, float(y), x1, float(y) + JOINT_WIDTH))
    return flats([(line, KERB, JOINT) for line in lines])


def markings(plan: Plan) -> Mesh:
    """Dashed middle lines and zebra stripes."""
    lines = [*_dashes(plan), *(stripe for c in plan.crossings for stripe in _stripes(c))]
    return flats([(line, 0.0, PAINT) for line in lines])


def _dashes(plan: Plan) -> list[Rect]:
    middle, bounds, half = plan.blocks[4], plan.bounds, 0.07
    streets = (
        (0, (middle.x0, middle.x1), (middle.y0, middle.y1), (bounds.x0, bounds.x1)),
        (1, (middle.y0, middle.y1), (middle.x0, middle.x1), (bounds.y0, bounds.y1)),
    )
    return [
        _turned((at, line - half, at + 2.0, line + half), axis)
        for axis, along, sides, ends in streets
        for line in (sides[0] - STREET / 2, sides[1] + STREET / 2)
        for at in np.arange(*ends, 4.5).tolist()
        if not _near_junction(at, *along)
    ]


def _near_junction(at: float, low: float, high: float) -> bool:
    """Whether a dash that begins at `at` would reach into a junction or a crossing."""
    reach = STREET + 4.6
    return low - reach - 2.0 < at < low + 4.6 or high - 6.6 < at < high + reach


def _turned(rect: tuple[float, float, float, float], axis: int) -> Rect:
    x0, y0, x1, y1 = rect
    return Rect(x0, y0, x1, y1) if axis == 0 else Rect(y0, x0, y1, x1)


def _stripes(crossing: Crossing) -> list[Rect]:
    """White bars along the road, half a metre wide, across the whole of it."""
    area, axis = crossing.area, crossing.axis
    low, high = (area.x0, area.x1) if axis == 0 else (area.y0, area.y1)
    side = (area.y0, area.y1) if axis == 0 else (area.x0, area.x1)
    starts = np.arange(low + 0.4, high - 0.6, 1.0)
    return [_turned((float(at), side[0], float(at) + 0.5, side[1]), axis) for at in starts]
