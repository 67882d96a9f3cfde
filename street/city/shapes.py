"""The solids that everything in the city is built of: boxes, frustums, capsules and balls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from street.city.mesh import Mesh, polygons
from street.city.plan import Colour, Rect

Slab = tuple[Sequence[float], Sequence[float], Colour]
"""An upright box: its lowest and highest corner (x, y, z), and its colour."""

_CUBE = np.array([[x, y, z] for z in (0, 1) for x, y in ((0, 0), (1, 0), (1, 1), (0, 1))])
_SIDES = np.array(
    [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]]
)
_OUT = np.array([[0, -1, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, 0, 1], [0, 0, -1]])


def boxes(slabs: Sequence[Slab], sides: str = "senwtb") -> Mesh:
    """Many upright boxes as one mesh; `sides` names the faces to draw: south, east, north, west,
    top, bottom.
    """
    chosen = ["senwtb".index(side) for side in sides]
    low, high, colour = (np.array([slab[k] for slab in slabs], np.float32) for k in range(3))
    corners = low[:, None] + _CUBE * (high - low)[:, None]
    return Mesh(
        corners[:, _SIDES[chosen]].reshape(-1, 3).astype(np.float32),
        np.tile(np.repeat(_OUT[chosen], 4, axis=0), (len(slabs), 1)).astype(np.float32),
        np.repeat(colour, 4 * len(sides), axis=0),
        quads(len(sides) * len(slabs)),
    )


def flats(rects: Sequence[tuple[Rect, float, Colour]]) -> Mesh:
    """Level rectangles that face up, each with its height and colour, as one mesh."""
    at = np.array([(r.x0, r.y0, r.x1, r.y1, z) for r, z, _ in rects], np.float32)
    colour = np.array([c for _, _, c in rects], np.float32)
    return Mesh(
        at[:, [0, 1, 4, 2, 1, 4, 2, 3, 4, 0, 3, 4]].reshape(-1, 3),
        np.tile(np.array([0, 0, 1], np.float32), (4 * len(rects), 1)),
        np.repeat(colour, 4, axis=0),
        quads(len(rects)),
    )


def quads(count: int) -> NDArray[np.int32]:
    """Triangles [2 * count, 3] of quads whose corners follow one another."""
    first = 4 * np.arange(count, dtype=np.int32)[:, None, None]
    return (first + np.array([[0, 1, 2], [0, 2, 3]], np.int32)).reshape(-1, 3)


def box(low: Sequence[float], high: Sequence[float], colour: Colour) -> Mesh:
    """An upright box between two corners (x, y, z)."""
    return boxes([(low, high, colour)])


def prism(
    bottom: NDArray[np.floating],
    roof: NDArray[np.floating],
    z0: float,
    z1: float,
    colour: Colour,
) -> Mesh:
    """A solid between two polygons [N, 2] of equal length at heights z0 and z1."""
    low = np.column_stack([bottom, np.full(len(bottom), z0)])
    high = np.column_stack([roof, np.full(len(roof), z1)])
    low_next, high_next = np.roll(low, -1, axis=0), np.roll(high, -1, axis=0)
    walls = list(np.stack([low, low_next, high_next, high], axis=1))
    return polygons([*walls, high, low[::-1]], [colour] * (len(walls) + 2))


def frustum(
    radius: float, top_radius: float, z0: float, z1: float, colour: Colour, *, sides: int = 6
) -> Mesh:
    """A cylinder or cut cone around the Z axis."""
    ring = _ring(sides)
    return prism(ring * radius, ring * top_radius, z0, z1, colour)


def _ring(sides: int) -> NDArray[np.floating]:
    turn = (np.arange(sides) + 0.5) * 2 * np.pi / sides
    return np.stack([np.cos(turn), np.sin(turn)], axis=1)


def lathe(profile: Sequence[tuple[float, float]], colour: Colour, *, sides: int = 6) -> Mesh:
    """A solid of revolution around Z; `profile` lists (radius, z) from the bottom up."""
    ring = _ring(sides)
    rings = [np.column_stack([ring * max(r, 1e-3), np.full(sides, z)]) for r, z in profile]
    quads = []
    for low, high in pairwise(rings):
        quads += list(np.stack([low, np.roll(low, -1, 0), np.roll(high, -1, 0), high], axis=1))
    return polygons([*quads, rings[-1], rings[0][::-1]], [colour] * (len(quads) + 2))


def capsule(radius: float, z0: float, z1: float, colour: Colour, *, sides: int = 7) -> Mesh:
    """An upright capsule from z0 to z1, round ends included."""
    bend = np.linspace(0.15, np.pi / 2, 3)
    foot = [(radius * np.sin(b), z0 + radius * (1 - np.cos(b))) for b in bend]
    head = [(radius * np.sin(b), z1 - radius * (1 - np.cos(b))) for b in bend[::-1]]
    return lathe([*foot, *head], colour, sides=sides)


def ball(
    radius: float, centre: Sequence[float], colour: Colour, *, rough: float = 0.0, seed: int = 0
) -> Mesh:
    """A low-poly ball of 80 faces; `rough` moves corners in and out by that share of the radius
    and varies the faces' brightness a little.
    """
    points, faces = _icosphere()
    rng = np.random.default_rng(seed)
    reach = 1 + rough * rng.uniform(-1, 1, len(points))
    placed = points * (radius * reach)[:, None] + np.asarray(centre)
    shade = 1 + 0.25 * rough * rng.uniform(-1, 1, len(faces))
    red, green, blue = colour
    paints = [(red * float(k), green * float(k), blue * float(k)) for k in shade]
    return polygons(list(placed[faces]), paints)


@cache
def _icosphere() -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Corners [42, 3] on the unit sphere and faces [80, 3]: an icosahedron split once."""
    golden = (1 + 5**0.5) / 2
    base = [(-1, golden, 0), (1, golden, 0), (-1, -golden, 0), (1, -golden, 0)]
    corners = [tuple(np.roll(corner, shift)) for shift in range(3) for corner in base]
    points = [np.array(c) / np.linalg.norm(c) for c in corners]
    solid = np.array(points)
    reach = np.linalg.norm(solid[0] - solid, axis=1)
    edge = np.sort(reach)[1] * 1.01
    near = np.linalg.norm(solid[:, None] - solid[None], axis=2) < edge
    triples = [
        (i, j, k)
        for i in range(12)
        for j in range(i + 1, 12)
        for k in range(j + 1, 12)
        if near[i, j] and near[j, k] and near[i, k]
    ]
    return _subdivided(solid, triples)


def _subdivided(
    solid: NDArray[np.floating], triples: list[tuple[int, int, int]]
) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
    """Each triangle in four, new corners on the sphere, all faces turned outward."""
    points, known, faces = list(solid), {}, []

    def middle(a: int, b: int) -> int:
        key = (min(a, b), max(a, b))
        if key not in known:
            known[key] = len(points)
            points.append((points[a] + points[b]) / np.linalg.norm(points[a] + points[b]))
        return known[key]

    for i, j, k in triples:
        a, b, c = (i, j, k) if np.linalg.det(solid[[i, j, k]]) > 0 else (i, k, j)
        ab, bc, ca = middle(a, b), middle(b, c), middle(c, a)
        faces += [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
    return np.array(points), np.array(faces)
