"""Meshes of street furniture and cars, each around its own origin at ground level."""

from __future__ import annotations

from functools import cache

import numpy as np

from street.city.mesh import Mesh, join
from street.city.plan import CarModel, Colour, Tree
from street.city.shapes import Slab, ball, box, boxes, frustum, prism

BARK: Colour = (0.45, 0.34, 0.26)
SOIL: Colour = (0.42, 0.36, 0.30)
METAL: Colour = (0.34, 0.37, 0.38)
BULB: Colour = (0.98, 0.96, 0.86)
TYRE: Colour = (0.16, 0.16, 0.17)
HUB: Colour = (0.72, 0.73, 0.75)
CAR_GLASS: Colour = (0.24, 0.30, 0.36)
HEADLIGHT: Colour = (0.97, 0.95, 0.85)
TAILLIGHT: Colour = (0.72, 0.12, 0.10)
WHEEL_RADIUS = 0.33

CAR_SIZES: dict[str, tuple[float, float, float]] = {
    "sedan": (4.4, 1.78, 1.42),
    "hatch": (3.8, 1.72, 1.48),
    "van": (4.8, 1.90, 1.95),
}
"""Length, width and height in metres by kind of car."""

CABINS = {
    "sedan": ((-1.45, 1.10), (-0.85, 0.45)),
    "hatch": ((-1.75, 0.95), (-1.50, 0.35)),
    "van": ((-2.30, 1.75), (-2.20, 1.05)),
}
"""Cabin ends along the car at the belt line and at the roof."""


def tree_mesh(tree: Tree) -> Mesh:
    """Trunk in a square of soil, and a rough crown of two balls."""
    top = tree.trunk + tree.crown
    return join(
        [
            box((-0.45, -0.45, 0.0), (0.45, 0.45, 0.04), SOIL),
            frustum(0.13, 0.09, 0.0, tree.trunk + 0.4, BARK),
            ball(
                tree.crown,
                (0, 0, tree.trunk + 0.8 * tree.crown),
                tree.leaf,
                rough=0.14,
                seed=tree.seed,
            ),
            ball(
                0.62 * tree.crown, (0.3, 0.2, top + 0.35), tree.leaf, rough=0.14, seed=tree.seed + 1
            ),
        ]
    )


def lamp_mesh() -> Mesh:
    """A lamp post whose arm points along +X."""
    return join(
        [
            frustum(0.14, 0.1, 0.0, 0.5, METAL),
            frustum(0.07, 0.05, 0.5, 5.4, METAL),
            box((0.0, -0.04, 5.32), (1.3, 0.04, 5.42), METAL),
            box((0.8, -0.12, 5.2), (1.4, 0.12, 5.32), METAL),
            box((0.85, -0.1, 5.16), (1.35, 0.1, 5.2), BULB),
        ]
    )


@cache
def car_body(model: CarModel) -> Mesh:
    """A car without wheels, its nose along +X, the origin on the ground under its middle."""
    length, width, height = CAR_SIZES[model.kind]
    nose, half, belt = length / 2, width / 2, 0.52 * height
    hull = prism(
        _plan_view(-nose, nose, half), _plan_view(-nose + 0.1, nose - 0.15, half - 0.04),
        0.22, belt, model.paint,
    )  # fmt: skip
    return join([hull, *_cabin(model, half, belt, height), _lights(nose, half, belt)])


def _plan_view(back: float, front: float, half: float) -> np.ndarray:
    """Outline from above with chamfered corners, counter-clockwise, [8, 2]."""
    cut = 0.22
    return np.array(
        [
            (back + cut, -half), (front - cut, -half), (front, -half + cut), (front, half - cut),
            (front - cut, half), (back + cut, half), (back, half - cut), (back, -half + cut),
        ]
    )  # fmt: skip


def _rectangle(back: float, front: float, half: float) -> np.ndarray:
    return np.array([(back, -half), (front, -half), (front, half), (back, half)])


def _cabin(model: CarModel, half: float, belt: float, height: float) -> list[Mesh]:
    """Glass, with pillars and a roof in the colour of the paint."""
    (back, front), (roof_back, roof_front) = CABINS[model.kind]
    low, high = _rectangle(back, front, half - 0.08), _rectangle(roof_back, roof_front, half - 0.28)
    roof = _rectangle(roof_back - 0.03, roof_front + 0.03, half - 0.25)
    post = (roof_back + roof_front) / 2
    middle = prism(
        _rectangle(post - 0.16, post + 0.02, half - 0.07),
        _rectangle(post - 0.16, post + 0.02, half - 0.26),
        belt, height - 0.06, model.paint,
    )  # fmt: skip
    return [
        prism(low, high, belt, height - 0.05, CAR_GLASS),
        middle,
        prism(roof, roof, height - 0.06, height, model.paint),
    ]


def _lights(nose: float, half: float, belt: float) -> Mesh:
    """Lamps and bumpers."""
    low, high = belt - 0.3, belt - 0.13
    slabs: list[Slab] = []
    for y0, y1 in ((0.24 - half, 0.62 - half), (half - 0.62, half - 0.24)):
        slabs.append(((nose - 0.2, y0, low), (nose - 0.02, y1, high), HEADLIGHT))
        slabs.append(((0.02 - nose, y0, low), (0.2 - nose, y1, high), TAILLIGHT))
    bumpers: list[Slab] = [
        ((end, 0.2 - half, 0.26), (end + 0.15, half - 0.2, 0.4), METAL)
        for end in (-nose - 0.03, nose - 0.12)
    ]
    return boxes([*slabs, *bumpers])


def wheel_mesh() -> Mesh:
    """A wheel around the origin, its axle along Y."""
    tyre = frustum(WHEEL_RADIUS, WHEEL_RADIUS, -0.11, 0.11, TYRE, sides=10)
    hub = frustum(0.19, 0.17, -0.12, 0.12, HUB, sides=6)
    upright = join([tyre, hub])
    swap = np.array([[1, 0, 0], [0, 0, 1], [0, -1, 0]], np.float32)
    return Mesh(upright.vertices @ swap, upright.normals @ swap, upright.colours, upright.faces)


def wheel_places(model: CarModel) -> tuple[tuple[float, float], ...]:
    """Axle ends (x, y) of the four wheels in the car's own axes."""
    length, width, _ = CAR_SIZES[model.kind]
    axle, side = length / 2 - 0.82, width / 2 - 0.1
    return ((axle, side), (axle, -side), (-axle, side), (-axle, -side))


@cache
def parked_mesh(model: CarModel) -> Mesh:
    """A whole car that does not move."""
    wheels = [wheel_mesh().moved(x, y, WHEEL_RADIUS) for x, y in wheel_places(model)]
    return join([car_body(model), *wheels])
