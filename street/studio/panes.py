"""Windows and shop fronts as atlases: what is behind the glass, by day and lit.

Each atlas is a pair of float32 [H, W, 4], row 0 at the bottom: by day (linear albedo, and 1 in the
fourth channel where there is glass), and lit (linear light that the pane gives, 1 being bright).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Atlas = tuple[Floats, Floats]
Draw = Callable[[np.random.Generator, int, int], Atlas]

WINDOWS = (8, 4)
"""Columns and rows of the window atlas."""
SHOPS = (4, 3)
_WINDOW = (64, 64)
_SHOP = (64, 128)


def window_atlas(seed: int) -> Atlas:
    """32 windows of flats and offices."""
    return _atlas(seed, WINDOWS, _WINDOW, _window)


def shop_atlas(seed: int) -> Atlas:
    """12 shop windows."""
    return _atlas(seed + 1, SHOPS, _SHOP, _shop)


def tile_uv(tile: int, grid: tuple[int, int]) -> tuple[float, float, float, float]:
    """Texture coordinates (u0, v0, u1, v1) of a tile of an atlas."""
    columns, rows = grid
    column, row = tile % columns, tile // columns % rows
    return column / columns, row / rows, (column + 1) / columns, (row + 1) / rows


def _atlas(seed: int, grid: tuple[int, int], size: tuple[int, int], draw: Draw) -> Atlas:
    columns, rows = grid
    day = np.zeros((rows * size[0], columns * size[1], 4), np.float32)
    lit = np.zeros_like(day)
    for tile in range(columns * rows):
        row, column = divmod(tile, columns)
        at = (
            slice(row * size[0], (row + 1) * size[0]),
            slice(column * size[1], (column + 1) * size[1]),
        )
        day[at], lit[at] = draw(np.random.default_rng([seed, tile]), *size)
    return day, lit


def _blank(height: int, width: int) -> tuple[Floats, Floats, Floats, Floats]:
    """A dark room by day, a bright one lit, and coordinates v (up) and u (right) in [0, 1]."""
    v, u = np.meshgrid((np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width,
                       indexing="ij")  # fmt: skip
    day = np.zeros((height, width, 4), np.float32)
    day[..., :3] = np.array([0.030, 0.034, 0.040]) * (0.5 + 1.2 * (1 - v))[..., None]
    day[..., 3] = 1.0
    lit = np.zeros_like(day)
    lit[..., :3] = np.array([1.0, 0.58, 0.26]) * (0.25 + 0.75 * v**1.5)[..., None]
    lit[..., 3] = 1.0
    return day, lit, v.astype(np.float32), u.astype(np.float32)


def _window(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, Floats]:
    day, lit, v, u = _blank(height, width)
    if rng.random() < 0.25:
        lit[..., :3] *= np.array([0.8, 1.1, 1.7])
    back = (u > rng.uniform(0.1, 0.5)) & (u < rng.uniform(0.5, 0.95)) & (v < rng.uniform(0.2, 0.6))
    lit[back, :3] *= 0.35
    fabric = rng.uniform(0.35, 0.75) * np.array([1.0, rng.uniform(0.88, 1.0), rng.uniform(0.7, 1)])
    folds = 1 + 0.25 * np.sin(u * rng.uniform(40, 70))
    kind = rng.random()
    if kind < 0.35:
        side = rng.uniform(0.12, 0.30)
        drawn = (u < side) | (u > 1 - side * rng.uniform(0.6, 1.2))
    elif kind < 0.55:
        drawn = v > rng.uniform(0.35, 0.8)
        folds = 1 + 0.12 * np.sin(v * 90)
    elif kind < 0.68:
        drawn = np.ones_like(u, bool)
    else:
        drawn = np.zeros_like(u, bool)
    day[drawn, :3] = 0.42 * (fabric * folds[..., None])[drawn]
    lit[drawn, :3] = (0.6 * fabric * np.array([1.0, 0.62, 0.32]) * folds[..., None])[drawn]
    day[drawn, 3] = 0.75
    return _framed(rng, day, lit, v, u)


def _framed(
    rng: np.random.Generator, day: Floats, lit: Floats, v: Floats, u: Floats
) -> tuple[Floats, Floats]:
    """Frame and bars over a pane."""
    paint = np.array([(0.75, 0.74, 0.71), (0.10, 0.10, 0.11), (0.25, 0.15, 0.09)])
    bar = paint[rng.choice(3, p=(0.55, 0.3, 0.15))]
    frame = (np.minimum(u, 1 - u) < 0.06) | (np.minimum(v, 1 - v) < 0.05)
    if rng.random() < 0.75:
        frame |= np.abs(u - 0.5) < 0.028
    if rng.random() < 0.5:
        frame |= np.abs(v - 0.7) < 0.022
    day[frame, :3], day[frame, 3] = bar, 0.0
    lit[frame] = 0.0
    return day, lit


def _shop(rng: np.random.Generator, height: int, width: int) -> tuple[Floats, Floats]:
    """Goods on shelves or figures in front of a wall, bright in front of a dark back."""
    day, lit, v, u = _blank(height, width)
    wall = rng.uniform(0.25, 0.9, 3) ** 1.5
    day[..., :3] = 0.16 * wall * (0.35 + 0.8 * v)[..., None]
    lit[..., :3] = wall * np.array([1.0, 0.78, 0.52]) * (0.4 + 0.7 * v)[..., None]
    goods = _shelves(rng, v, u) if rng.random() < 0.6 else _figures(rng, v, u)
    there = goods.sum(axis=-1) > 0
    day[there, :3] = 0.32 * goods[there]
    lit[there, :3] = 0.9 * goods[there]
    lamps = (v > 0.9) & (np.abs((u * 7) % 1 - 0.5) < 0.22)
    day[lamps, :3], lit[lamps, :3] = 0.5, (2.2, 1.9, 1.4)
    x, y = rng.uniform(0.1, 0.75), rng.uniform(0.25, 0.5)
    poster = (np.abs(u - x) < 0.06) & (np.abs(v - y) < 0.16)
    day[poster, :3], day[poster, 3] = rng.uniform(0.1, 0.7, 3), 0.4
    lit[poster, :3] = 0.25
    bar = np.array([0.06, 0.06, 0.065]) * rng.choice([1.0, 1.0, 7.0])
    cuts = rng.integers(2, 4)
    frame = (np.minimum(u, 1 - u) < 0.025) | (np.minimum(v, 1 - v) < 0.04)
    frame |= np.abs((u * cuts) % 1 - 0.5) > 0.5 - 0.012 * cuts
    day[frame, :3], day[frame, 3] = bar, 0.0
    lit[frame] = 0.0
    return day, lit


def _shelves(rng: np.random.Generator, v: Floats, u: Floats) -> Floats:
    """Rows of coloured boxes [H, W, 3], 0 between them."""
    rows, columns = int(rng.integers(3, 5)), int(rng.integers(9, 15))
    grey = rng.uniform(0.08, 0.9, (rows, columns, 1))
    colour = grey * rng.normal(1.0, 0.28, (rows, columns, 3)).clip(0.25, 2.0)
    tall = rng.uniform(0.35, 0.85, (rows, columns))
    row = np.minimum((v / 0.82 * rows).astype(int), rows - 1)
    column = np.minimum((u * columns).astype(int), columns - 1)
    inside = (v / 0.82 * rows % 1 < tall[row, column]) & ((u * columns) % 1 < 0.86) & (v < 0.8)
    return np.where(inside[..., None], colour[row, column], 0.0).astype(np.float32)


def _figures(rng: np.random.Generator, v: Floats, u: Floats) -> Floats:
    """Dressed dummies [H, W, 3], 0 around them."""
    goods = np.zeros((*u.shape, 3), np.float32)
    for x in np.arange(0.15, 0.95, rng.uniform(0.16, 0.26)) + rng.uniform(-0.03, 0.03):
        coat, skirt = rng.uniform(0.05, 0.9, (2, 1)) * rng.normal(1.0, 0.3, (2, 3)).clip(0.3, 1.8)
        goods[(np.abs(u - x) < 0.045) & (v > 0.12) & (v < 0.45)] = skirt
        goods[((u - x) / 0.055) ** 2 + ((v - 0.52) / 0.17) ** 2 < 1] = coat
        goods[((u - x) / 0.022) ** 2 + ((v - 0.76) / 0.06) ** 2 < 1] = (0.8, 0.7, 0.6)
    return goods
