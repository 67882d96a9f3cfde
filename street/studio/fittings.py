"""Windows, shop fronts, doors and cornices of a building, from the rectangles that the city draws.

Glass moves a little into its frame; what is behind it is the material's (`rooms`). Each rectangle
of glass is cut into panes, each with a tile of its atlas and a light of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from street.city.plan import Building
from street.city.shapes import quads
from street.studio import fronts
from street.studio.fronts import FRAMES, INSET, IRON, Span, Spot, inset, painted, spots
from street.studio.panes import SHOPS, WINDOWS, pane_tint
from street.studio.signs import SIGNS
from street.studio.surface import Floats, MaterialKind, Surface, surface

_WIDEST = 2.6
"""Metres of glass that one pane spans at most."""
_SHOP_WIDEST = 9.0
_WOODS = ((0.33, 0.20, 0.11), (0.10, 0.17, 0.14), (0.13, 0.16, 0.25), (0.38, 0.11, 0.09))
_ONCE = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
Draw = Callable[[Spot], list[Span]]


def window_surfaces(
    corners: Floats, building: Building, rng: np.random.Generator, lit: float
) -> Iterator[Surface]:
    """Panes in frames; some buildings have shutters, some railings."""
    if not len(corners):
        return
    panes = _cut_all(corners, _WIDEST)
    yield _panes(inset(panes, INSET), MaterialKind.WINDOW, rng, lit)
    paint = np.array(FRAMES[rng.integers(len(FRAMES))])
    yield painted(_every(panes, lambda s: fronts.frame(s, rng)), paint, MaterialKind.FRAME)
    if building.style == "ribbon":
        return
    dress = rng.random()
    if dress < 0.35 and building.style == "punched":
        accent = np.array(building.accent) * 0.55 + 0.08
        yield painted(_every(corners, fronts.shutters), accent, MaterialKind.FRAME)
    if 0.25 < dress < 0.7:
        yield painted(_every(corners, fronts.railing), IRON, MaterialKind.METAL)


def shop_surfaces(
    corners: Floats, building: Building, rng: np.random.Generator, lit: float
) -> Iterator[Surface]:
    """Shop windows with bars, and a sign above each."""
    if not len(corners):
        return
    panes = _cut_all(corners, _SHOP_WIDEST)
    # A shop keeps its lamps on while it is open, by day too.
    yield _panes(inset(panes, INSET), MaterialKind.SHOP, rng, max(0.8, min(1.0, 1.6 * lit)))
    dark = np.array([(0.07, 0.07, 0.08), (0.30, 0.29, 0.27)][rng.integers(2)])
    yield painted(_every(panes, _shop_bars), dark, MaterialKind.FRAME)
    yield _signs(corners, 2.52 if building.style != "ribbon" else 2.27, rng)


def door_surfaces(corners: Floats, rng: np.random.Generator, lit: float) -> Iterator[Surface]:
    """Doors of two leaves with glass, panels, handles and a kick plate."""
    if not len(corners):
        return
    wood = np.array(_WOODS[rng.integers(len(_WOODS))]) * rng.uniform(0.8, 1.15)
    places = list(spots(corners))
    drawn = [[spot.boxes(part) for part in fronts.door(spot)] for spot in places]
    leaves, panels, metal = (np.concatenate(part) for part in zip(*drawn, strict=True))
    yield painted(inset(corners, 0.05), wood * 0.75, MaterialKind.DOOR)
    yield painted(leaves, wood, MaterialKind.DOOR)
    yield painted(panels, wood * 0.9, MaterialKind.DOOR)
    yield painted(metal, np.array([0.55, 0.47, 0.30]), MaterialKind.CHROME)
    lights = np.concatenate([fronts.door_lights(spot) for spot in places])
    yield _panes(lights, MaterialKind.WINDOW, rng, max(0.5, lit))


def cornice_surfaces(
    walls: Floats, building: Building, rng: np.random.Generator
) -> Iterator[Surface]:
    """Blocks under the roof's edge of houses that are not modern."""
    if building.style == "ribbon" or not len(walls):
        return
    blocks = _every(walls, lambda spot: fronts.cornice(spot, rng))
    yield painted(blocks, np.array(building.trim) * 0.84, MaterialKind.TRIM)


def _every(corners: Floats, draw: Draw) -> Floats:
    """The boxes [Q, 4, 3] that `draw` puts on each rectangle."""
    return np.concatenate([spot.boxes(draw(spot)) for spot in spots(corners)])


def _shop_bars(spot: Spot) -> list[Span]:
    """A frame, posts and a bar for the upper lights."""
    width, height = spot.size
    back, out = -INSET, 0.02
    bars: list[Span] = [
        (0, width, 0, 0.07, back, out),
        (0, width, height - 0.06, height, back, out),
        (0, width, height - 0.50, height - 0.46, back, 0.0),
    ]
    count = max(2, round(width / 1.3))
    bars += [
        (x - 0.025, x + 0.025, 0.07, height - 0.06, back, out)
        for x in np.linspace(0.025, width - 0.025, count + 1).tolist()
    ]
    return bars


def _signs(corners: Floats, low: float, rng: np.random.Generator) -> Surface:
    """A board `low` metres above each window's sill; its front has a tile of the atlas."""
    fields, uv, glow = [], [], []
    columns, rows = SIGNS
    for spot in spots(corners):
        width, _ = spot.size
        half = min(1.35, 0.46 * width)
        span = (width / 2 - half, width / 2 + half, low, low + 0.42, 0.0, 0.09)
        boxes = spot.boxes([span])
        row, column = divmod(int(rng.integers(columns * rows)), columns)
        front = (_ONCE + np.array([column, row])) / (columns, rows)
        edge = np.tile(front[:1] + 0.002, (16, 1))
        fields.append(boxes)
        uv.append(np.concatenate([front, edge]))
        glow += [float(rng.random() < 0.6)] * 20
    faces = quads(5 * len(corners))
    points = np.concatenate(fields).reshape(-1, 3)
    lamp = np.array(glow)
    return surface(points, faces, np.ones(3), MaterialKind.SIGN, uv=np.concatenate(uv), glow=lamp)


def _panes(corners: Floats, kind: MaterialKind, rng: np.random.Generator, lit: float) -> Surface:
    """Panes [P, 4, 3] of glass: `uv` in metres, tile and size in the tint (see `pane_tint`)."""
    count = len(corners)
    columns, rows = SHOPS if kind is MaterialKind.SHOP else WINDOWS
    size = np.array([spot.size for spot in spots(corners)])
    uv = _ONCE * size[:, None]
    glow = np.where(rng.random(count) < lit, rng.uniform(0.35, 1.0, count), 0.0)
    made = surface(
        corners.reshape(-1, 3), quads(count), np.ones(3), kind,
        uv=uv.reshape(-1, 2), glow=np.repeat(glow, 4),
    )  # fmt: skip
    tile: NDArray[np.integer] = rng.integers(columns * rows, size=count)
    made.tint[:, :3] = np.repeat(pane_tint(tile, size), 4, axis=0)
    return made


def _cut_all(corners: Floats, widest: float) -> Floats:
    cut = [pane for quad in corners for pane in _cut(quad, widest)]
    return np.array(cut, np.float32).reshape(-1, 4, 3)


def _cut(quad: Floats, widest: float) -> list[Floats]:
    """A quad cut into equal panes side by side, none wider than `widest` metres."""
    count = int(np.ceil(np.linalg.norm(quad[1] - quad[0]) / widest))
    steps = np.linspace(0, 1, count + 1)[:, None]
    low, high = quad[0] + (quad[1] - quad[0]) * steps, quad[3] + (quad[2] - quad[3]) * steps
    return [np.stack([low[k], low[k + 1], high[k + 1], high[k]]) for k in range(count)]
