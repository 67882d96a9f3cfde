"""What is behind glass, as atlases: rooms of flats, and shops with goods.

An atlas is a pair of tiled images, row 0 at the bottom: `back` [H, W, 3], the linear albedo of a
room's back wall, and `near` [H, W, 4], of what stands just behind the glass, its coverage in the
fourth channel.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Atlas = tuple[Floats, Floats]
Draw = Callable[[np.random.Generator, "Tile"], None]

WINDOWS = (8, 4)
"""Columns and rows of the window atlas."""
SHOPS = (4, 3)
_WINDOW = (96, 96)
_SHOP = (128, 256)
WIDEST, TALLEST = 16.0, 8.0
"""Metres: the largest pane whose size `pane_tint` can pack."""


def window_atlas(seed: int) -> Atlas:
    """32 rooms of flats and offices."""
    return _atlas(seed, WINDOWS, _WINDOW, _window)


def shop_atlas(seed: int) -> Atlas:
    """12 shops."""
    return _atlas(seed + 1, SHOPS, _SHOP, _shop)


def pane_tint(tile: NDArray[np.integer], size: NDArray[np.floating]) -> Floats:
    """Tile numbers [P] and sizes [P, 2] in metres, packed into a tint's three channels [P, 3]."""
    packed = np.column_stack([(tile + 0.5) / 256, size[:, 0] / WIDEST, size[:, 1] / TALLEST])
    return packed.astype(np.float32)


class Tile:
    """One tile: coordinates `u` (right) and `v` (up) in [0, 1], and the two layers to draw on."""

    def __init__(self, back: Floats, near: Floats) -> None:
        height, width, _ = back.shape
        v, u = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width,
                           indexing="ij")  # fmt: skip
        self.back, self.near = back, near
        self.u, self.v = u.astype(np.float32), v.astype(np.float32)

    def box(self, u0: float, u1: float, v0: float, v1: float) -> NDArray[np.bool_]:
        return (self.u > u0) & (self.u < u1) & (self.v > v0) & (self.v < v1)

    def ball(self, u: float, v: float, wide: float, tall: float) -> NDArray[np.bool_]:
        return ((self.u - u) / wide) ** 2 + ((self.v - v) / tall) ** 2 < 1

    def round_shade(self, u: float, wide: float) -> Floats:
        """Light and dark across something round, [H, W, 1]."""
        across = ((self.u - u) / wide).clip(-1, 1)
        return (1.05 - 0.5 * across**2 - 0.2 * across)[..., None]

    def put(self, where: NDArray[np.bool_], colour: NDArray[np.floating], cover: float = 1) -> None:
        """Something just behind the glass; colour [3] or [H, W, 3]."""
        self.near[where, :3] = np.broadcast_to(colour, self.back.shape)[where]
        self.near[where, 3] = cover

    def paint(self, where: NDArray[np.bool_], colour: NDArray[np.floating]) -> None:
        """Something at the back wall."""
        self.back[where] = np.broadcast_to(colour, self.back.shape)[where]


def _atlas(seed: int, grid: tuple[int, int], size: tuple[int, int], draw: Draw) -> Atlas:
    (columns, rows), (height, width) = grid, size
    back = np.zeros((rows * height, columns * width, 3), np.float32)
    near = np.zeros((rows * height, columns * width, 4), np.float32)
    for tile in range(columns * rows):
        row, column = divmod(tile, columns)
        at = (
            slice(row * height, (row + 1) * height),
            slice(column * width, (column + 1) * width),
        )
        draw(np.random.default_rng([seed, tile]), Tile(back[at], near[at]))
    return back, near


def _pigment(rng: np.random.Generator) -> NDArray[np.float64]:
    """A colour that goods have: mostly muted, sometimes strong."""
    grey = rng.choice([0.05, 0.15, 0.35, 0.6]) * rng.uniform(0.7, 1.3)
    spread = rng.choice([0.12, 0.25, 0.6])
    return (grey * np.exp(rng.normal(0, spread, 3))).clip(0.01, 0.85)


def _window(rng: np.random.Generator, tile: Tile) -> None:
    """A wall with a picture, furniture and perhaps a lamp; curtains or a blind behind the pane."""
    wall = rng.uniform(0.25, 0.6) * np.array([1.0, rng.uniform(0.85, 1), rng.uniform(0.65, 0.95)])
    tile.back[:] = wall
    x, y = rng.uniform(0.2, 0.7), rng.uniform(0.5, 0.65)
    tile.paint(tile.box(x - 0.02, x + 0.20, y - 0.02, y + 0.22), np.array([0.05, 0.04, 0.03]))
    tile.paint(tile.box(x, x + 0.18, y, y + 0.20), _pigment(rng))
    x = rng.uniform(0.0, 0.6)
    tile.paint(tile.box(x, x + rng.uniform(0.2, 0.4), 0, rng.uniform(0.25, 0.7)), _pigment(rng))
    fabric = rng.uniform(0.4, 0.75) * np.array([1.0, rng.uniform(0.9, 1.0), rng.uniform(0.75, 1)])
    folds = (0.8 + 0.2 * np.sin(tile.u * rng.uniform(45, 80)))[..., None]
    kind = rng.random()
    if kind < 0.45:
        left, right = rng.uniform(0.10, 0.30, 2)
        tile.put((tile.u < left) | (tile.u > 1 - right), fabric * folds)
    elif kind < 0.62:
        slats = (0.85 + 0.15 * np.sin(tile.v * 110))[..., None]
        tile.put(tile.v > rng.uniform(0.35, 0.8), fabric * slats)
    elif kind < 0.75:
        tile.put(tile.v >= 0, fabric * folds, 0.75)
    if rng.random() < 0.3:
        x = rng.uniform(0.2, 0.8)
        tile.put(tile.box(x - 0.07, x + 0.07, 0.03, 0.14), np.array([0.35, 0.12, 0.06]))
        for _ in range(5):
            leaf = tile.ball(x + rng.normal(0, 0.07), 0.2 + rng.uniform(0, 0.16), 0.06, 0.05)
            tile.put(leaf, np.array([0.05, 0.14, 0.04]) * rng.uniform(0.6, 1.6))


def _shop(rng: np.random.Generator, tile: Tile) -> None:
    """Shelves at the back, things on show in front."""
    wall = rng.uniform(0.25, 0.7) * np.exp(rng.normal(0, 0.12, 3))
    tile.back[:] = wall * (0.75 + 0.25 * tile.v)[..., None]
    if rng.random() < 0.75:
        _shelves(rng, tile)
    shows: list[Draw] = [_dummies, _stand, _stand, _plants]
    shows[rng.integers(len(shows))](rng, tile)
    if rng.random() < 0.5:
        x, y = rng.uniform(0.05, 0.8), rng.uniform(0.3, 0.6)
        tile.put(tile.box(x, x + 0.09, y, y + 0.26), np.array([0.7, 0.68, 0.62]))
        tile.put(tile.box(x + 0.01, x + 0.08, y + 0.1, y + 0.24), _pigment(rng))


def _shelves(rng: np.random.Generator, tile: Tile) -> None:
    rows = int(rng.integers(4, 6))
    board = rng.choice([0.05, 0.25, 0.5]) * np.array([1.0, 0.8, 0.6])
    for row in range(rows):
        low, high = 0.08 + 0.8 * row / rows, 0.08 + 0.8 * (row + 1) / rows
        tile.paint(tile.box(0, 1, low, high), np.array([0.10, 0.09, 0.08]))
        kind, x, family = rng.random(), 0.01, _pigment(rng)
        while x < 0.97:
            wide = rng.uniform(0.008, 0.03) if kind < 0.6 else rng.uniform(0.03, 0.07)
            tall = rng.uniform(0.45, 0.8) * (high - low)
            colour = (
                family * np.exp(rng.normal(0, 0.35, 3)) if rng.random() < 0.6 else _pigment(rng)
            )
            shade = tile.round_shade(x + wide / 2, wide / 2)
            if rng.random() < 0.93:
                body = tile.box(x, x + wide * 0.88, low, low + tall)
                tile.paint(body, (colour * shade).clip(0, 0.9))
            x += wide
        tile.paint(tile.box(0, 1, low - 0.022, low), board)


def _dummies(rng: np.random.Generator, tile: Tile) -> None:
    """Dressed dummies on a low stage."""
    tile.put(tile.box(0, 1, 0, 0.05), np.array([0.4, 0.38, 0.35]))
    for x in np.arange(0.14, 0.95, rng.uniform(0.17, 0.26)) + rng.uniform(-0.03, 0.03):
        coat, legs = _pigment(rng), _pigment(rng)
        skirt, shade = rng.random() < 0.5, tile.round_shade(x, 0.06)
        for side in (-0.018, 0.018):
            tile.put(tile.box(x + side - 0.013, x + side + 0.013, 0.05, 0.42), legs)
        if skirt:
            flare = 0.022 + 0.045 * (0.5 - tile.v).clip(0, 1)
            cone = (np.abs(tile.u - x) < flare) & (tile.v > 0.2) & (tile.v < 0.5)
            tile.put(cone, coat * 0.8 * shade)
        tile.put(tile.ball(x, 0.55, 0.042, 0.19), coat * shade)
        for side in (-0.048, 0.048):
            tile.put(tile.ball(x + side, 0.53, 0.012, 0.17), coat * 0.8)
        tile.put(tile.ball(x, 0.79, 0.018, 0.06), np.array([0.55, 0.45, 0.38]) * shade)


def _stand(rng: np.random.Generator, tile: Tile) -> None:
    """A table of goods, boxes and jars, some piled up."""
    top = rng.uniform(0.12, 0.25)
    tile.put(tile.box(0.03, 0.97, 0, top), rng.choice([0.06, 0.3, 0.6]) * np.array([1, 0.85, 0.7]))
    x = 0.05
    while x < 0.92:
        wide, tall = rng.uniform(0.03, 0.09), rng.uniform(0.06, 0.28)
        colour, middle = _pigment(rng), x + wide / 2
        if rng.random() < 0.5:
            body = tile.box(x, x + wide * 0.92, top, top + tall)
        else:
            body = tile.ball(middle, top + tall / 2, wide * 0.45, tall / 2)
        if rng.random() < 0.85:
            tile.put(body, (colour * tile.round_shade(middle, wide / 2)).clip(0, 0.9))
            label = body & (np.abs(tile.v - top - tall * 0.45) < 0.12 * tall)
            tile.put(label, (colour * 0.3 + 0.4).clip(0, 0.9))
        x += wide


def _plants(rng: np.random.Generator, tile: Tile) -> None:
    """Pots and leaves."""
    for x in np.arange(0.07, 0.97, 0.1):
        tile.put(tile.box(x - 0.03, x + 0.03, 0.02, 0.16), _pigment(rng))
        petal, tall = _pigment(rng) * 1.3, rng.uniform(0.15, 0.4)
        for k in range(26):
            green = np.array([0.05, 0.16, 0.04]) * rng.uniform(0.5, 1.8)
            at = x + rng.normal(0, 0.025), 0.16 + rng.uniform(0, tall)
            tile.put(tile.ball(*at, 0.016, 0.03), green if k % 4 else petal.clip(0, 0.9))
