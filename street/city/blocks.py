"""The plainest shapes of what is in the street: pills, boxes and balls.

Each replaces a mesh of `figure` or `props`, with the same origin and size, so that a clip of blocks
shows everything where a finer one does.
"""

from __future__ import annotations

from functools import cache

from street.city.figure import SHIN, TALL, THIGH
from street.city.mesh import Mesh, join
from street.city.plan import CarModel, Colour, Tree
from street.city.props import CABINS, CAR_SIZES
from street.city.shapes import ball, boxes, frustum, lathe

PILL_RADIUS = 0.25
LAMP_HEIGHT = 5.4


def pill(colour: Colour) -> Mesh:
    """A person of `TALL` metres around the hip, upright, in place of the trunk."""
    foot = 0.05 - THIGH - SHIN
    head = foot + TALL
    bends = ((0.5, 0.0), (0.86, 0.06), (1.0, 0.2))
    low = [(PILL_RADIUS * across, foot + up) for across, up in bends]
    high = [(PILL_RADIUS * across, head - up) for across, up in bends[::-1]]
    return lathe([*low, *high], colour, sides=8)


@cache
def car_boxes(model: CarModel, colour: Colour) -> Mesh:
    """A car as two boxes down to the ground, its nose along +X: the hull, and the cabin, whose
    ends are half-way along its slanted glass.
    """
    length, width, height = CAR_SIZES[model.kind]
    nose, half, belt = length / 2, width / 2, 0.52 * height
    (back, front), (roof_back, roof_front) = CABINS[model.kind]
    ends = (back + roof_back) / 2, (front + roof_front) / 2
    hull = ((-nose, -half, 0.0), (nose, half, belt), colour)
    cabin = ((ends[0], 0.16 - half, belt), (ends[1], half - 0.16, height), colour)
    return boxes([hull, cabin])


def tree_balls(tree: Tree, bark: Colour, leaf: Colour) -> Mesh:
    """Two smooth balls in the places of the crown's, on a trunk."""
    crown, top = tree.trunk + 0.8 * tree.crown, tree.trunk + tree.crown + 0.35
    return join(
        [
            frustum(0.13, 0.09, 0.0, tree.trunk + 0.4, bark, sides=4),
            ball(tree.crown, (0, 0, crown), leaf),
            ball(0.62 * tree.crown, (0.3, 0.2, top), leaf),
        ]
    )


def lamp_boxes(colour: Colour) -> Mesh:
    """A post and its arm, which points along +X."""
    post = ((-0.05, -0.05, 0.0), (0.05, 0.05, LAMP_HEIGHT), colour)
    arm = ((0.05, -0.05, LAMP_HEIGHT - 0.1), (1.4, 0.05, LAMP_HEIGHT), colour)
    return boxes([post, arm])
