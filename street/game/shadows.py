"""Shadows as flat, hard-edged patches on the ground, cast by one sun."""

from __future__ import annotations

import numpy as np

from street.city.mesh import Mesh, join, polygons
from street.city.plan import KERB, CarModel, Colour, Plan, Tree
from street.city.props import CAR_SIZES

SUN = (-0.55, 0.35, -0.80)
"""The way that sunlight travels."""
DARK: Colour = (0.08, 0.09, 0.14)
STRENGTH = 0.34
"""How much of a shadow's dark colour covers the ground."""


def cast(height: float) -> tuple[float, float]:
    """Where the shadow of a point falls, metres from the foot of its plumb line."""
    return -SUN[0] / SUN[2] * height, -SUN[1] / SUN[2] * height


def still_shadows(plan: Plan) -> Mesh:
    """Shadows of trees, lamp posts and parked cars."""
    trees = [_tree_shadow(tree).moved(*tree.position, KERB) for tree in plan.trees]
    posts = [_strip(0.06, 5.3).moved(*post.position, KERB) for post in plan.lamps]
    cars = [car_shadow(c.look).moved(*c.position, 0.0, c.heading) for c in plan.parked]
    return join([*trees, *posts, *cars])


def _tree_shadow(tree: Tree) -> Mesh:
    """The crown's patch and the trunk's, which end where they meet so as not to darken twice."""
    crown = _disc(tree.crown * 0.95, tree.crown * 1.15, 12)
    return join([crown.moved(*cast(tree.trunk + 0.9 * tree.crown)), _strip(0.13, tree.trunk - 0.6)])


def person_shadow(height: float) -> Mesh:
    """Around the feet; it does not turn with the person, since the sun does not move."""
    x, y = cast(height / 2)
    return _disc(0.24, 0.24 + float(np.hypot(x, y)), 10).moved(0.9 * x, 0.9 * y)


def car_shadow(model: CarModel) -> Mesh:
    """Under a car, which faces +X."""
    length, width, _ = CAR_SIZES[model.kind]
    x, y = length / 2 + 0.12, width / 2 + 0.22
    outline = [(-x, -y, 0.0), (x, -y, 0.0), (x, y, 0.0), (-x, y, 0.0)]
    return polygons([np.array(outline)], [DARK])


def _disc(across: float, along: float, corners: int) -> Mesh:
    """An ellipse whose long axis lies along the sunlight."""
    turn = np.arange(corners) * 2 * np.pi / corners
    outline = np.stack([along * np.cos(turn), across * np.sin(turn), 0 * turn], axis=1)
    return polygons([outline], [DARK]).moved(0.0, 0.0, 0.0, float(np.arctan2(SUN[1], SUN[0])))


def _strip(half: float, height: float) -> Mesh:
    """The shadow of an upright pole."""
    length = float(np.hypot(*cast(height)))
    outline = [(0.0, -half, 0.0), (length, -half, 0.0), (length, half, 0.0), (0.0, half, 0.0)]
    return polygons([np.array(outline)], [DARK]).moved(
        0.0, 0.0, 0.0, float(np.arctan2(SUN[1], SUN[0]))
    )
