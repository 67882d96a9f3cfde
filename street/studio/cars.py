"""Cars as surfaces: the city's own outlines with rounded panels, framed windows, arches and plates.

No point lies further than 4 cm outside the city's body; lamps, bumpers and wheels are the city's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from street.city.mesh import Mesh
from street.city.plan import CarModel, Colour, Plan
from street.city.props import (
    CAR_GLASS,
    CAR_SIZES,
    HEADLIGHT,
    HUB,
    METAL,
    TAILLIGHT,
    TYRE,
    WHEEL_RADIUS,
    car_body,
    wheel_mesh,
    wheel_places,
)
from street.studio.surface import MaterialKind, Surface, gathered, of_mesh, surface

Array = NDArray[np.float64]
_MATERIALS = (
    (CAR_GLASS, MaterialKind.GLASS), (HEADLIGHT, MaterialKind.CAR_LAMP),
    (TAILLIGHT, MaterialKind.CAR_LAMP), (METAL, MaterialKind.RUBBER),
    (TYRE, MaterialKind.RUBBER), (HUB, MaterialKind.CHROME),
)  # fmt: skip
_FLOOR = 0.22
_BLACK: Colour = (0.05, 0.05, 0.055)
_PLATE: Colour = (0.80, 0.80, 0.74)


def moving_cars(plan: Plan) -> list[Surface]:
    """Bodies and wheels of the driving cars, in the order of `World.parts`."""
    return [part for car in plan.cars for part in (body(car.look, 1.0), *(wheel(),) * 4)]


def parked_cars(plan: Plan) -> Iterator[Surface]:
    """Whole cars at the kerb, in place."""
    for car in plan.parked:
        wheels = [wheel().moved(x, y, WHEEL_RADIUS) for x, y in wheel_places(car.look)]
        whole = gathered([body(car.look, 0.0), *wheels])
        yield whole.moved(*car.position, 0.0, car.heading)


@cache
def body(model: CarModel, glow: float) -> Surface:
    """A car without its wheels, its nose along +X; `glow` is how bright its lamps are."""
    mesh = car_body(model)
    lamps = [_only(mesh, colour, glow) for colour in (HEADLIGHT, TAILLIGHT, METAL)]
    return gathered([_hull(model), *_cabin(model, mesh), *_details(model), *lamps])


@cache
def wheel() -> Surface:
    """A wheel around the origin, its axle along Y."""
    mesh = wheel_mesh()
    first = mesh.colours[mesh.faces[:, 0]]
    hub = np.abs(first - np.array(HUB, np.float32)).max(axis=1) < 1e-4
    return of_mesh(mesh, np.where(hub, MaterialKind.CHROME, MaterialKind.RUBBER), shade=0.85)


def _only(mesh: Mesh, colour: Colour, glow: float) -> Surface:
    """The faces of one colour."""
    first = mesh.colours[mesh.faces[:, 0]]
    mine = np.abs(first - np.array(colour, np.float32)).max(axis=1) < 1e-4
    used, back = np.unique(mesh.faces[mine], return_inverse=True)
    kind = dict(_MATERIALS)[colour]
    paint = mesh.colours[used] * (0.35 if kind is MaterialKind.RUBBER else 1.0)
    return surface(mesh.vertices[used], back.reshape(-1, 3), paint, kind, glow=glow)


def _outline(back: float, front: float, half: float, radius: float, high: float) -> Array:
    """A level rectangle with round corners [24, 3], counter-clockwise."""
    bend = np.linspace(0, np.pi / 2, 6)
    corners = ((front, half, 0), (back, half, 1), (back, -half, 2), (front, -half, 3))
    points = []
    for x, y, quarter in corners:
        turn = bend + quarter * np.pi / 2
        middle = x - np.sign(x - (back + front) / 2) * radius, y - np.sign(y) * radius
        points.append(
            np.column_stack([middle[0] + radius * np.cos(turn), middle[1] + radius * np.sin(turn)])
        )
    flat = np.concatenate(points)
    return np.column_stack([flat, np.full(len(flat), high)])


def _lofted(rings: Sequence[Array], colour: Colour, kind: MaterialKind, *, lid: bool) -> Surface:
    """A smooth skin over rings of equal length, from the lowest up, closed by a lid on demand."""
    count = len(rings[0])
    index = np.arange(count)
    after = (index + 1) % count
    faces = []
    for ring in range(len(rings) - 1):
        low, high = ring * count, (ring + 1) * count
        faces.append(np.stack([low + index, low + after, high + after], axis=1))
        faces.append(np.stack([low + index, high + after, high + index], axis=1))
    points = np.concatenate(rings)
    if lid:
        top = (len(rings) - 1) * count
        faces.append(np.stack([top + index, top + after, np.full(count, len(points))], axis=1))
        points = np.concatenate([points, rings[-1].mean(axis=0, keepdims=True)])
    return surface(points, np.concatenate(faces), np.array(colour), kind, smooth=True)


def _hull(model: CarModel) -> Surface:
    """The lower body: sides that lean in, a round shoulder, a slightly domed deck."""
    length, width, height = CAR_SIZES[model.kind]
    nose, half, belt = length / 2, width / 2, 0.52 * height
    rings = []
    for share, tuck, radius in (
        (0.0, 0.03, 0.26), (0.12, 0.0, 0.30), (0.55, -0.006, 0.32), (0.86, 0.0, 0.32),
        (0.96, 0.03, 0.32), (1.0, 0.09, 0.30),
    ):  # fmt: skip
        back = -nose + 0.1 * share + tuck
        front = nose - 0.15 * share - tuck
        side = half - 0.04 * share - tuck
        rings.append(_outline(back, front, side, radius, _FLOOR + (belt - _FLOOR) * share))
    deck = _outline(-nose + 0.35, nose - 0.45, half - 0.4, 0.2, belt + 0.02)
    return _lofted([*rings, deck], _lacquer(model), MaterialKind.PAINT, lid=True)


def _lacquer(model: CarModel) -> Colour:
    """The paint, a little deeper than on the plan."""
    red, green, blue = (0.9 * part for part in model.paint)
    return red, green, blue


def _cabin(model: CarModel, mesh: Mesh) -> Iterator[Surface]:
    """A frame in the car's paint, glass on each of its four sides, and a rounded roof."""
    first = np.abs(mesh.colours - np.array(CAR_GLASS, np.float32)).max(axis=1) < 1e-4
    glass = mesh.vertices[first].astype(float)
    low, high = (_rectangle(glass, level) for level in (glass[:, 2].min(), glass[:, 2].max()))
    paint = _lacquer(model)
    sides = [
        np.stack([low[k], low[(k + 1) % 4], high[(k + 1) % 4], high[k]]) for k in range(4)
    ]  # fmt: skip
    yield gathered([_quad(side, paint, MaterialKind.PAINT) for side in sides])
    post = (high[:, 0].min() + high[:, 0].max()) / 2 - 0.07
    for number, side in enumerate(sides):
        spans: tuple[tuple[float, float], ...] = ((0.07, 0.93),)
        if number % 2 == 0:
            share = (post - side[0, 0]) / (side[1, 0] - side[0, 0])
            spans = ((0.05, share - 0.025), (share + 0.025, 0.95))
        for u0, u1 in spans:
            yield _quad(_inset(side, u0, u1, 0.07, 0.90), CAR_GLASS, MaterialKind.GLASS)
    (x0, y0, top), (x1, y1, _) = high.min(axis=0), high.max(axis=0)
    rings = [
        _outline(x0 - 0.03 + tuck, x1 + 0.03 - tuck, (y1 - y0) / 2 + 0.03 - tuck, 0.12, top + rise)
        for tuck, rise in ((0.0, -0.01), (0.0, 0.02), (0.04, 0.043), (0.25, 0.055))
    ]
    yield _lofted(rings, paint, MaterialKind.PAINT, lid=True)


def _rectangle(points: Array, level: float) -> Array:
    """Corners [4, 3] of the extent of those points that lie at a level, counter-clockwise."""
    here = points[np.abs(points[:, 2] - level) < 1e-4]
    (x0, y0), (x1, y1) = here[:, :2].min(axis=0), here[:, :2].max(axis=0)
    return np.array([(x0, y0, level), (x1, y0, level), (x1, y1, level), (x0, y1, level)])


def _inset(side: Array, u0: float, u1: float, v0: float, v1: float) -> Array:
    """Part of a quad in its own coordinates, 8 mm in front of it."""
    u, v = np.array([u0, u1, u1, u0])[:, None], np.array([v0, v0, v1, v1])[:, None]
    low, high = side[0] + (side[1] - side[0]) * u, side[3] + (side[2] - side[3]) * u
    out = np.cross(side[1] - side[0], side[3] - side[0])
    return low + (high - low) * v + 0.008 * out / np.linalg.norm(out)


def _quad(corners: Array, colour: Colour, kind: MaterialKind) -> Surface:
    return surface(corners, np.array([[0, 1, 2], [0, 2, 3]]), np.array(colour), kind)


def _details(model: CarModel) -> Iterator[Surface]:
    """Wheel arches, sills, grille and plates, flush with the body."""
    length, width, height = CAR_SIZES[model.kind]
    nose, half, belt = length / 2, width / 2, 0.52 * height
    for x, y in wheel_places(model):
        yield _disc(x, np.sign(y) * (half + 0.004), WHEEL_RADIUS, 0.40)
    for side in (1, -1):
        y = side * (half + 0.003)
        sill = np.array([(-nose + 1.2, y, 0.2), (nose - 1.2, y, 0.2), (nose - 1.2, y, 0.3),
                         (-nose + 1.2, y, 0.3)])  # fmt: skip
        yield _quad(sill if side < 0 else sill[::-1], _BLACK, MaterialKind.RUBBER)
        top, high = y - side * 0.03, belt - 0.1
        for x, end in ((-0.12, -0.10), (0.82, 0.84)):
            seam = np.array([(x, y, 0.3), (end, y, 0.3), (end, top, high), (x, top, high)])
            yield _quad(seam if side < 0 else seam[::-1], _BLACK, MaterialKind.RUBBER)
    front, rear = nose - 0.05, -nose + 0.03
    yield _board(front, half - 0.66, belt - 0.31, belt - 0.14, _BLACK, 1)
    yield _board(nose + 0.015, 0.26, 0.28, 0.39, _PLATE, 1)
    yield _board(rear - 0.01, 0.26, belt - 0.3, belt - 0.19, _PLATE, -1)


def _board(x: float, half: float, z0: float, z1: float, colour: Colour, way: int) -> Surface:
    """An upright rectangle across the car, facing along `way` times X."""
    board = np.array([(x, -half, z0), (x, half, z0), (x, half, z1), (x, -half, z1)])
    return _quad(board if way > 0 else board[::-1], colour, MaterialKind.RUBBER)


def _disc(x: float, y: float, z: float, radius: float) -> Surface:
    """A dark disc in the plane of a car's side."""
    turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    rim = np.column_stack([x + radius * np.cos(turn), 0 * turn + y, z + radius * np.sin(turn)])
    rim[:, 2] = np.maximum(rim[:, 2], _FLOOR)
    index = np.arange(20)
    faces = np.stack([index, (index + 1) % 20, np.full(20, 20)], axis=1)
    if y > 0:
        faces = faces[:, ::-1]
    return surface(np.vstack([rim, [[x, y, z]]]), faces, np.array(_BLACK), MaterialKind.RUBBER)
