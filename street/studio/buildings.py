"""Buildings as surfaces: the city's own facades with materials, rooms behind windows and goods.

The parts of a facade are recognised by their colours.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from street.city.facade import DOOR, GLASS, SHOP_GLASS, building_mesh, skyline_mesh
from street.city.mesh import Mesh
from street.city.palette import WALLS
from street.city.plan import Building, Plan
from street.city.shapes import quads
from street.studio.fittings import (
    cornice_surfaces,
    door_surfaces,
    shop_surfaces,
    window_surfaces,
)
from street.studio.surface import Floats, MaterialKind, Surface, gathered, surface

_BRICKS = {WALLS[0], WALLS[6], WALLS[2]}
_CONCRETES = {WALLS[3], WALLS[4], WALLS[8]}


def building_surfaces(plan: Plan, lit: float) -> Iterator[Surface]:
    """All buildings; each window is lit with probability `lit`."""
    for index, building in enumerate(plan.buildings):
        rng = np.random.default_rng([plan.seed, 11, index])
        yield _building(building, rng, lit)


def skyline_surfaces(plan: Plan) -> Iterator[Surface]:
    """The far towers."""
    corners, colours = _quads(skyline_mesh(plan))
    yield _panel(corners, colours[:, 0] * 0.62, MaterialKind.TOWER)


def _quads(mesh: Mesh) -> tuple[Floats, Floats]:
    """Corners and colours [Q, 4, 3] of a mesh of boxes."""
    return mesh.vertices.reshape(-1, 4, 3), mesh.colours.reshape(-1, 4, 3)


def _building(building: Building, rng: np.random.Generator, lit: float) -> Surface:
    corners, colours = _quads(building_mesh(building))
    tall = np.ptp(corners[:, :, 2], axis=1)
    up = tall < 1e-3

    def has_colour(colour: tuple[float, float, float]) -> NDArray[np.bool_]:
        return np.abs(colours[:, 0] - np.array(colour, np.float32)).max(axis=1) < 1e-4

    glass, shop, door = has_colour(GLASS), has_colour(SHOP_GLASS), has_colour(DOOR)
    wall, accent = has_colour(building.wall), has_colour(building.accent)
    awning = accent & ~(glass | shop | door | wall) & (corners[:, :, 2].min(axis=1) > 2.0)
    roof = wall & up
    wall &= ~roof
    front = (tall > 0.5) & _broad(corners)
    rest = ~(((glass | shop) & front) | door | wall | awning | roof)
    paint = _weathered(building.wall, rng)
    parts = [
        _panel(corners[wall], paint, _wall_material(building)),
        _panel(corners[roof], np.array([0.34, 0.33, 0.32]), MaterialKind.ROOF),
        _panel(corners[awning], np.array(building.accent) * 0.85, MaterialKind.AWNING),
        _panel(corners[rest], colours[rest, 0] * 0.84, MaterialKind.TRIM),
        *window_surfaces(corners[glass & front], building, rng, lit),
        *shop_surfaces(corners[shop & front], building, rng, lit),
        *door_surfaces(corners[door & front], rng, lit),
        *cornice_surfaces(corners[wall], building, rng),
    ]
    return gathered(part for part in parts if len(part.faces))


def _broad(corners: Floats) -> NDArray[np.bool_]:
    """Faces wider than a reveal."""
    return np.linalg.norm(corners[:, 1, :2] - corners[:, 0, :2], axis=1) > 0.3


def _wall_material(building: Building) -> MaterialKind:
    if building.wall in _BRICKS:
        return MaterialKind.BRICK
    if building.wall in _CONCRETES or building.style == "ribbon":
        return MaterialKind.CONCRETE
    return MaterialKind.PLASTER


def _weathered(
    colour: tuple[float, float, float], rng: np.random.Generator
) -> NDArray[np.floating]:
    """A weathered wall's colour: darker and duller, different for every building."""
    wall = np.array(colour) * rng.uniform(0.72, 0.92)
    return wall.mean() + (wall - wall.mean()) * rng.uniform(0.65, 0.95) + rng.normal(0, 0.012, 3)


def _panel(corners: Floats, colour: NDArray[np.floating], kind: MaterialKind) -> Surface:
    """Quads [Q, 4, 3] of one material; `colour` sRGB, [3] or [Q, 3]."""
    count = len(corners)
    paint = np.repeat(np.broadcast_to(colour, (count, 3)), 4, axis=0).clip(0, 1)
    return surface(corners.reshape(-1, 3), quads(count), paint, kind)
