"""Where every moving part is: world matrices from positions, headings and walked distances.

All matrices are row-vector (`world = local @ matrix`), float64, metres. No engine.

N people or cars, P parts of each.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from street.city.figure import (
    HIP_SIDE,
    PARTS,
    SHIN,
    SHOULDER,
    SHOULDER_SIDE,
    TALL,
    THIGH,
)
from street.city.plan import CarModel
from street.city.props import WHEEL_RADIUS, wheel_places

Array = NDArray[np.float64]

STRIDE = 1.5
"""Metres walked in one cycle of both legs."""
CAR_PARTS = 5


def figure_poses(
    position: Array, heading: Array, walked: Array, swing: Array, height: Array
) -> Array:
    """World matrices [N, 7, 4, 4] of people in the order of `figure.PARTS`.

    `position` [N, 3] of the feet, `heading` [N] radians, `walked` [N] metres since the start,
    `swing` [N] in [0, 1.4], 0 standing and 1 at a walk, `height` [N] metres. The hip is as high as
    the straighter leg allows, so that the lower foot touches the ground.
    """
    phase = walked * 2 * np.pi / STRIDE
    thigh = np.stack([np.sin(phase), -np.sin(phase)], axis=1) * 0.48 * swing[:, None]
    bend = np.stack([np.cos(phase), -np.cos(phase)], axis=1).clip(0.0) * 0.85 * swing[:, None]
    shin = thigh - bend
    hip = (THIGH * np.cos(thigh) + SHIN * np.cos(shin)).max(axis=1)
    local = np.zeros((len(position), len(PARTS), 4, 4))
    local[:, 0] = _swung(np.zeros_like(hip), np.stack([0 * hip, 0 * hip, hip], axis=1))
    for leg, side in enumerate((1, -1)):
        joint = np.stack([0 * hip, np.full_like(hip, side * HIP_SIDE), hip], axis=1)
        local[:, 1 + leg] = _swung(thigh[:, leg], joint)
        knee = joint + THIGH * _down(thigh[:, leg])
        local[:, 3 + leg] = _swung(shin[:, leg], knee)
        shoulder = joint + np.array([0.0, side * (SHOULDER_SIDE - HIP_SIDE), SHOULDER])
        local[:, 5 + leg] = _swung(-0.8 * thigh[:, leg], shoulder)
    local[..., :3] *= (height / TALL)[:, None, None, None]
    return local @ placed(position, heading)[:, None]


def car_poses(
    position: Array, heading: Array, rolled: Array, models: tuple[CarModel, ...]
) -> Array:
    """World matrices [N, 5, 4, 4] of cars: the body, then the wheels in `wheel_places` order.

    `position` [N, 3] under the middle, `heading` [N] radians, `rolled` [N] metres driven.
    """
    local = np.tile(np.eye(4), (len(models), CAR_PARTS, 1, 1))
    turn = -rolled / WHEEL_RADIUS
    for index, model in enumerate(models):
        for wheel, (x, y) in enumerate(wheel_places(model)):
            joint = np.array([[x, y, WHEEL_RADIUS]])
            local[index, 1 + wheel] = _swung(turn[index : index + 1], joint)[0]
    return local @ placed(position, heading)[:, None]


def placed(position: Array, heading: Array) -> Array:
    """Matrices [N, 4, 4] that turn by `heading` about Z and move to `position` [N, 3]."""
    matrix = np.tile(np.eye(4), (len(position), 1, 1))
    c, s = np.cos(heading), np.sin(heading)
    matrix[:, 0, 0], matrix[:, 0, 1] = c, s
    matrix[:, 1, 0], matrix[:, 1, 1] = -s, c
    matrix[:, 3, :3] = position
    return matrix


def _swung(angle: Array, joint: Array) -> Array:
    """Matrices [N, 4, 4]: a hanging part turned `angle` radians towards +X and moved to `joint`."""
    matrix = np.tile(np.eye(4), (len(angle), 1, 1))
    c, s = np.cos(angle), np.sin(angle)
    matrix[:, 0, 0], matrix[:, 0, 2] = c, s
    matrix[:, 2, 0], matrix[:, 2, 2] = -s, c
    matrix[:, 3, :3] = joint
    return matrix


def _down(angle: Array) -> Array:
    """Unit vectors [N, 3] straight down, swung `angle` radians towards +X."""
    return np.stack([np.sin(angle), 0 * angle, -np.cos(angle)], axis=1)
