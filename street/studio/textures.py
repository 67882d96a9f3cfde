"""Tileable textures made with numpy: noise, bricks, plaster, concrete, asphalt, slabs.

Each is float32 [H, W, 3], row 0 at the bottom, meant to multiply a tint, with a mean near 1. Their
grain is kept coarse enough for frames of a few hundred pixels: finer grain only flickers.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
SIZE = 512


@lru_cache(maxsize=64)
def noise(seed: int, slope: float, *, size: int = SIZE, stretch: float = 1.0) -> Floats:
    """Periodic noise [size, size] of zero mean and unit deviation, its amplitude falling with
    frequency as `f ** -slope`; `stretch` < 1 draws it out along v. Shared, so read-only.
    """
    rng = np.random.default_rng(seed)
    v, u = np.meshgrid(np.fft.fftfreq(size), np.fft.rfftfreq(size), indexing="ij")
    reach = np.hypot(u, v * stretch) * size
    reach[0, 0] = np.inf
    wave = np.fft.rfft2(rng.standard_normal((size, size))) * reach**-slope
    field = np.fft.irfft2(wave, s=(size, size))
    field = (field / field.std()).astype(np.float32)
    field.flags.writeable = False
    return field


def _grey(field: NDArray[np.floating]) -> Floats:
    return np.repeat(field[..., None], 3, axis=-1).astype(np.float32)


def bricks(seed: int, columns: int = 8, rows: int = 24) -> Floats:
    """Stretcher bond, `columns` bricks by `rows` courses, each brick of its own shade, with pale
    mortar.
    """
    rng = np.random.default_rng(seed)
    v, u = np.meshgrid(*(2 * [(np.arange(SIZE) + 0.5) / SIZE]), indexing="ij")
    row = (v * rows).astype(int)
    along = u * columns + 0.5 * (row % 2)
    column = along.astype(int) % columns
    edge = np.minimum(along % 1, 1 - along % 1) * (1 / columns), 0.0
    flat = np.minimum((v * rows) % 1, 1 - (v * rows) % 1) / rows
    mortar = np.clip(1.4 - np.minimum(edge[0], flat) * 220, 0, 1)
    shade = rng.normal(1.0, 0.13, (rows, columns))[row, column]
    hue = rng.normal(0.0, 0.05, (rows, columns))[row, column]
    grain = 1 + 0.06 * noise(seed + 1, 0.6)
    brick = np.stack([shade * (1 + hue), shade, shade * (1 - hue)], axis=-1) * grain[..., None]
    pale = np.array([1.05, 1.12, 1.2]) * 0.92
    return (brick + (pale - brick) * mortar[..., None] * 0.75).astype(np.float32)


def plaster(seed: int) -> Floats:
    """Smooth render, blotched."""
    return _grey(np.clip(1 + 0.05 * noise(seed, 1.5) + 0.025 * noise(seed + 1, 0.5), 0.6, 1.2))


def concrete(seed: int) -> Floats:
    """Panels with seams, two by two per tile, each in another grey."""
    rng = np.random.default_rng(seed)
    v, u = np.meshgrid(*(2 * [(np.arange(SIZE) + 0.5) / SIZE * 2]), indexing="ij")
    shade = rng.normal(1.0, 0.04, (2, 2))[v.astype(int), u.astype(int)]
    gap = np.minimum(np.minimum(u % 1, 1 - u % 1), np.minimum(v % 1, 1 - v % 1))
    seam = np.clip(1 - gap * 90, 0, 1)
    stain = 0.06 * noise(seed + 1, 1.4, stretch=0.4)
    return _grey((shade + stain + 0.02 * noise(seed + 2, 0.3)) * (1 - 0.45 * seam))


def stains(seed: int) -> Floats:
    """Dirt on a wall: soft streaks downwards, slightly warm."""
    run = noise(seed, 1.6, stretch=0.25)
    patch = noise(seed + 1, 1.9)
    dirt = np.clip(0.10 * run + 0.10 * patch, -0.15, 0.5)
    return np.stack([1 - 0.85 * dirt, 1 - dirt, 1 - 1.15 * dirt], axis=-1).astype(np.float32)


def asphalt(seed: int) -> Floats:
    """Grain, worn and mended patches with tarred edges, and cracks."""
    rng = np.random.default_rng(seed)
    ground = 1 + 0.07 * noise(seed, 1.3) + 0.06 * noise(seed + 1, 0.4)
    v, u = np.meshgrid(*(2 * [np.arange(SIZE)]), indexing="ij")
    for _ in range(7):
        x, y, w, h = rng.integers([0, 0, 30, 24], [SIZE, SIZE, 130, 80])
        du, dv = (u - x) % SIZE, (v - y) % SIZE
        inside = (du < w) & (dv < h)
        rim = inside & ((du < 3) | (dv < 3) | (du > w - 4) | (dv > h - 4))
        ground = np.where(inside, ground * rng.uniform(0.72, 1.12), ground)
        ground = np.where(rim, ground * 0.72, ground)
    field = noise(seed + 2, 1.5)
    crack = np.abs(field) < 0.012 + 0.01 * noise(seed + 3, 1.2)
    return _grey(np.clip(ground * np.where(crack, 0.62, 1.0), 0.3, 1.5))


def slabs(seed: int, columns: int = 8, rows: int = 8) -> Floats:
    """Paving stones in running bond, each in another shade, with dark joints and old gum."""
    rng = np.random.default_rng(seed)
    v, u = np.meshgrid(*(2 * [(np.arange(SIZE) + 0.5) / SIZE]), indexing="ij")
    row = (v * rows).astype(int)
    along = u * columns + 0.5 * (row % 2)
    shade = rng.normal(1.0, 0.075, (rows, columns))[row, along.astype(int) % columns]
    gap = np.minimum(
        np.minimum(along % 1, 1 - along % 1), np.minimum(v * rows % 1, 1 - v * rows % 1)
    )
    joint = np.clip(1.5 - gap * 32, 0, 1)
    grain = 0.06 * noise(seed + 1, 1.2) + 0.03 * noise(seed + 2, 0.3)
    spots = np.where(noise(seed + 3, 0.7) > 2.6, 0.82, 1.0)
    return _grey((shade + grain) * (1 - 0.38 * joint) * spots)


def worn(seed: int) -> Floats:
    """Road paint that traffic has rubbed away in places, down to a grey."""
    gone = np.clip(noise(seed, 0.9) * 0.5 - 0.25, 0, 0.75)
    return _grey(1 - gone)


def cloth(seed: int) -> Floats:
    """Folds, mostly running down."""
    return _grey(np.clip(1 + 0.13 * noise(seed, 1.3, size=128, stretch=0.5), 0.55, 1.4))


def puddles(seed: int) -> Floats:
    """0 where wet ground is merely wet, 1 where water stands, soft at the rim."""
    return _grey(np.clip(0.9 * noise(seed, 2.0) + 0.35, 0, 1))
