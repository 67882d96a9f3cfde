"""Meshes of buildings: walls, storeys of windows, shop fronts with awnings, a cornice."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from street.city.mesh import Mesh, join
from street.city.plan import (
    FLOOR,
    GROUND_FLOOR,
    KERB,
    Building,
    Colour,
    Plan,
    Rect,
    Side,
)
from street.city.shapes import Slab, boxes

GLASS: Colour = (0.40, 0.50, 0.60)
SHOP_GLASS: Colour = (0.34, 0.43, 0.50)
DOOR: Colour = (0.36, 0.28, 0.24)
HAZE: Colour = (0.80, 0.86, 0.92)
THIN = 0.11
"""Metres out of the wall. Thinner parts do not change the outline."""
TURNS: dict[Side, float] = {"south": 0.0, "east": 90.0, "north": 180.0, "west": 270.0}


def building_mesh(building: Building) -> Mesh:
    """The whole building in place, standing on the pavement."""
    fronts = (_front(building, side) for side in building.street_sides)
    return join([_body(building), *_hung(building, fronts)])


def building_bulk(building: Building) -> Mesh:
    """The building in the colour of its wall (awnings a shade darker), without windows and doors:
    its outline is the same, since all that sticks out of a wall is there.
    """
    red, green, blue = (0.8 * channel for channel in building.wall)
    plain = replace(building, trim=building.wall, accent=(red, green, blue))
    fronts = (
        [part for part in _front(plain, side) if part[0][1] <= -THIN]
        for side in building.street_sides
    )
    return join([_body(plain), *_hung(building, fronts)])


def _body(building: Building) -> Mesh:
    """Walls and cornice."""
    plot, rim = building.footprint, building.footprint.inset(-0.18)
    top = KERB + building.height
    slabs: list[Slab] = [
        ((plot.x0, plot.y0, 0.0), (plot.x1, plot.y1, top), building.wall),
        ((rim.x0, rim.y0, top - 0.1), (rim.x1, rim.y1, top + 0.5), building.trim),
    ]
    return boxes(slabs, "senwt")


def _hung(building: Building, fronts: Iterable[list[Slab]]) -> list[Mesh]:
    """The fronts of the street sides, each on its wall."""
    sides = zip(fronts, building.street_sides, strict=True)
    return [_placed(_relief(front), building.footprint, side) for front, side in sides if front]


def _relief(parts: list[Slab]) -> Mesh:
    """Parts of a front: flat ones show their face only, and no part its back."""
    thin = [part for part in parts if part[0][1] > -THIN]
    thick = [part for part in parts if part[0][1] <= -THIN]
    return join([boxes(some, sides) for some, sides in ((thin, "s"), (thick, "sewtb")) if some])


def _placed(front: Mesh, plot: Rect, side: Side) -> Mesh:
    """Turns a front drawn along X, facing south, onto its side of the plot."""
    corner = {
        "south": (plot.x0, plot.y0),
        "east": (plot.x1, plot.y0),
        "north": (plot.x1, plot.y1),
        "west": (plot.x0, plot.y1),
    }[side]
    return front.moved(*corner, KERB, float(np.radians(TURNS[side])))


def _front(building: Building, side: Side) -> list[Slab]:
    """Everything that sits on one wall, from x = 0 to its width, the wall itself at y = 0."""
    width, depth = building.footprint.size
    length = width if side in ("south", "north") else depth
    parts = _shops(building, length)
    for floor in range(1, building.floors):
        base = GROUND_FLOOR + (floor - 1) * FLOOR
        parts += _storey(building, length, base)
    parts.append(_slab(0.0, length, GROUND_FLOOR - 0.35, GROUND_FLOOR - 0.05, 0.12, building.trim))
    return parts


def _slab(x0: float, x1: float, z0: float, z1: float, out: float, colour: Colour) -> Slab:
    """A box that stands `out` metres out of the wall."""
    return (x0, -out, z0), (x1, 0.0, z1), colour


def _bays(length: float, pitch: float) -> tuple[np.ndarray, float]:
    """Middles of equal bays along a wall, and the bay's width."""
    count = max(1, round(length / pitch))
    return (np.arange(count) + 0.5) * length / count, length / count


def _storey(building: Building, length: float, base: float) -> list[Slab]:
    if building.style == "ribbon":
        return _ribbon(building, length, base)
    sill, head, share = (0.85, 2.45, 0.46) if building.style == "punched" else (0.35, 2.7, 0.4)
    middles, bay = _bays(length, 2.9 if building.style == "punched" else 2.2)
    half = bay * share / 2
    parts = []
    for middle in (float(m) for m in middles):
        x0, x1 = middle - half, middle + half
        parts.append(_slab(x0 - 0.1, x1 + 0.1, base + sill, base + head + 0.1, 0.03, building.trim))
        parts.append(_slab(x0, x1, base + sill, base + head, 0.08, GLASS))
        parts.append(_slab(x0 - 0.2, x1 + 0.2, base + sill - 0.14, base + sill, 0.2, building.trim))
    return parts


def _ribbon(building: Building, length: float, base: float) -> list[Slab]:
    """One band of glass a storey, cut by mullions."""
    middles, bay = _bays(length - 1.2, 1.7)
    parts = [
        _slab(0.6, length - 0.6, base + 0.9, base + 2.5, 0.06, GLASS),
        _slab(0.4, length - 0.4, base + 0.7, base + 0.9, 0.16, building.trim),
    ]
    for middle in (float(m) + 0.6 - bay / 2 for m in middles[1:]):
        x0, x1 = middle - 0.07, middle + 0.07
        parts.append(_slab(x0, x1, base + 0.9, base + 2.5, 0.1, building.trim))
    return parts


def _shops(building: Building, length: float) -> list[Slab]:
    """The ground floor: glass between piers, a door in the middle bay, awnings over the glass."""
    middles, bay = _bays(length, 4.2)
    door = len(middles) // 2
    parts = []
    for index, middle in enumerate(float(m) for m in middles):
        half = bay * 0.4
        if index == door:
            parts.append(_slab(middle - 0.95, middle + 0.95, 0.0, 2.75, 0.04, building.trim))
            parts.append(_slab(middle - 0.7, middle + 0.7, 0.0, 2.5, 0.1, DOOR))
            continue
        parts.append(_slab(middle - half, middle + half, 0.0, 0.5, 0.1, building.accent))
        parts.append(_slab(middle - half, middle + half, 0.5, 2.7, 0.06, SHOP_GLASS))
        if building.style != "ribbon":
            parts.append(_slab(middle - half, middle + half, 2.75, 3.0, 0.55, building.accent))
    return parts


def skyline_mesh(plan: Plan) -> Mesh:
    """Plain towers in haze."""
    return boxes(
        [((r.x0, r.y0, -0.1), (r.x1, r.y1, height), HAZE) for r, height in plan.skyline], "senw"
    )
