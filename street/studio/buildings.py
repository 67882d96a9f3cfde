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
from street.studio.panes import SHOPS, WINDOWS, tile_uv
from street.studio.surface import Floats, MaterialKind, Surface, gathered, surface

_BRICKS = {WALLS[0], WALLS[6], WALLS[2]}
_CONCRETES = {WALLS[3], WALLS[4], WALLS[8]}
_WIDEST = 2.6
"""Metres of glass that one pane spans at most."""
_ONCE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


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
    pane = (glass | shop) & (tall > 0.5) & _broad(corners)
    rest = ~(pane | door | wall | awning | roof)
    parts = [
        _panel(corners[wall], _weathered(building.wall, rng), _wall_material(building)),
        _panel(corners[roof], np.array([0.34, 0.33, 0.32]), MaterialKind.ROOF),
        _panel(corners[awning], np.array(building.accent) * 0.85, MaterialKind.AWNING),
        _panel(corners[door], np.array([0.30, 0.2, 0.14]), MaterialKind.DOOR),
        _panel(corners[rest], colours[rest, 0] * 0.84, MaterialKind.TRIM),
        _panes(corners[pane & glass], MaterialKind.WINDOW, rng, lit),
        _panes(corners[pane & shop], MaterialKind.SHOP, rng, min(1.0, 1.6 * lit)),
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


def _panes(corners: Floats, kind: MaterialKind, rng: np.random.Generator, lit: float) -> Surface:
    """Glass quads, cut into panes, each with a tile of its atlas and its own light."""
    cut = [
        pane
        for quad in corners
        for pane in _cut(quad, 9.0 if kind is MaterialKind.SHOP else _WIDEST)
    ]
    panes = np.array(cut, np.float32).reshape(-1, 4, 3)
    grid = SHOPS if kind is MaterialKind.SHOP else WINDOWS
    uv = np.empty((len(panes), 4, 2), np.float32)
    for index in range(len(panes)):
        u0, v0, u1, v1 = tile_uv(int(rng.integers(grid[0] * grid[1])), grid)
        uv[index] = (u0, v0) + _ONCE * (u1 - u0, v1 - v0)
    glow = np.where(rng.random(len(panes)) < lit, rng.uniform(0.35, 1.0, len(panes)), 0.0)
    white = np.ones(3)
    return surface(
        panes.reshape(-1, 3),
        quads(len(panes)),
        white,
        kind,
        uv=uv.reshape(-1, 2),
        glow=np.repeat(glow, 4),
    )


def _cut(quad: Floats, widest: float) -> list[Floats]:
    """A quad cut into equal panes side by side, none wider than `widest` metres."""
    count = int(np.ceil(np.linalg.norm(quad[1] - quad[0]) / widest))
    steps = np.linspace(0, 1, count + 1)[:, None]
    low, high = quad[0] + (quad[1] - quad[0]) * steps, quad[3] + (quad[2] - quad[3]) * steps
    return [np.stack([low[k], low[k + 1], high[k + 1], high[k]]) for k in range(count)]
