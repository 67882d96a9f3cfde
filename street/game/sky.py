"""The sky as a mesh around the camera: a dome that pales to the horizon, and blocky clouds."""

from __future__ import annotations

import numpy as np

from street.city.levels import coloured
from street.city.mesh import Mesh, join
from street.city.plan import Colour
from street.city.shapes import ball

HORIZON: Colour = (0.86, 0.92, 0.96)
ZENITH: Colour = (0.38, 0.62, 0.90)
CLOUD: Colour = (0.97, 0.98, 1.0)
PALE: Colour = (0.94, 0.94, 0.94)
RADIUS = 300.0
_RINGS, _SIDES = 10, 24


def sky_mesh(seed: int) -> Mesh:
    """Dome and clouds around the origin; it has no near or far and follows the camera."""
    rng = np.random.default_rng([seed, 2])
    return join([_dome(), *(_cloud(rng) for _ in range(16))])


def pale_sky() -> Mesh:
    """The dome in one light grey, without clouds."""
    return coloured(_dome(), PALE)


def _dome() -> Mesh:
    """Seen from inside; a little of it lies below the horizon."""
    rise = np.linspace(-0.12, np.pi / 2, _RINGS)
    turn = np.arange(_SIDES) * 2 * np.pi / _SIDES
    across = np.cos(rise)[:, None]
    points = np.stack(
        [
            across * np.cos(turn)[None],
            across * np.sin(turn)[None],
            np.broadcast_to(np.sin(rise)[:, None], (_RINGS, _SIDES)),
        ],
        axis=-1,
    ).reshape(-1, 3)
    share = np.sqrt(np.sin(rise).clip(0.0))[:, None, None]
    colours = np.array(HORIZON) * (1 - share) + np.array(ZENITH) * share
    paints = np.broadcast_to(colours, (_RINGS, _SIDES, 3)).reshape(-1, 3)
    ring, side = np.meshgrid(np.arange(_RINGS - 1), np.arange(_SIDES), indexing="ij")
    a, b = ring * _SIDES + side, ring * _SIDES + (side + 1) % _SIDES
    quads = np.stack([a, a + _SIDES, b + _SIDES, a, b + _SIDES, b], axis=-1).reshape(-1, 3)
    return Mesh(
        (points * RADIUS).astype(np.float32),
        (-points).astype(np.float32),
        paints.astype(np.float32),
        quads.astype(np.int32),
    )


def _cloud(rng: np.random.Generator) -> Mesh:
    """Three flattened balls near the dome."""
    turn, rise = float(rng.uniform(0, 2 * np.pi)), float(rng.uniform(0.12, 0.5))
    parts = []
    for step in (-1, 0, 1):
        size = float(rng.uniform(7, 14)) * (1.0 if step else 1.5)
        puff = ball(size, (0, 0, 0), CLOUD, rough=0.2, seed=int(rng.integers(1 << 16)))
        puff.vertices[:, 2] *= 0.35
        parts.append(puff.moved(0.0, step * 15.0))
    reach = RADIUS * 0.85
    whole = join(parts).moved(reach * np.cos(rise), 0.0, reach * float(np.sin(rise)))
    return whole.moved(0.0, 0.0, 0.0, turn)
