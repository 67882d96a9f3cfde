"""The sky as one panorama, made with numpy: gradient, glow around the sun, clouds, stars."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from street.studio.climate import Climate, sun_direction
from street.studio.textures import Floats, noise

HEIGHT, WIDTH = 256, 512
_GROUND = 0.22
"""Albedo of the ground below the horizon."""


def panorama(climate: Climate, seed: int) -> Floats:
    """Radiance [256, 512, 3], equirectangular as Cycles reads it: row 0 straight down, the middle
    column along +X, columns running clockwise seen from above.
    """
    way = _directions()
    rise = way[..., 2]
    zenith, horizon = np.array(climate.zenith), np.array(climate.horizon)
    share = np.clip(rise, 0, 1)[..., None] ** 0.55
    rim = _rim(way, climate, seed)
    sky = rim + (zenith - rim) * share
    sky = sky + _glow(way, climate, seed)
    sky = _clouded(sky, way, climate, seed)
    below = np.clip(-rise * 12, 0, 1)[..., None]
    return (sky * (1 - below) + horizon * _GROUND * 2 * below).astype(np.float32)


def _directions() -> NDArray[np.float64]:
    rise = ((np.arange(HEIGHT) + 0.5) / HEIGHT - 0.5) * np.pi
    turn = -((np.arange(WIDTH) + 0.5) / WIDTH - 0.5) * 2 * np.pi
    z, a = np.meshgrid(rise, turn, indexing="ij")
    return np.stack([np.cos(z) * np.cos(a), np.cos(z) * np.sin(a), np.sin(z)], axis=-1)


def _rim(way: NDArray[np.float64], climate: Climate, seed: int) -> NDArray[np.float64]:
    """The horizon's light: its own towards a low sun, nearer to the zenith's away from it."""
    zenith, horizon = np.array(climate.zenith), np.array(climate.horizon)
    if not max(climate.sun) or climate.elevation > 0.5:
        return np.broadcast_to(horizon, way.shape)
    across = way[..., :2] / np.maximum(np.linalg.norm(way[..., :2], axis=-1, keepdims=True), 1e-9)
    sun = sun_direction(climate, seed)[:2]
    towards = (0.5 + 0.5 * across @ (sun / np.linalg.norm(sun)))[..., None] ** 1.5
    away = 0.75 * zenith + 0.40 * horizon
    return away + (1.15 * horizon - away) * towards


def _glow(way: NDArray[np.float64], climate: Climate, seed: int) -> NDArray[np.float64]:
    """Light scattered forward by haze (Henyey-Greenstein, g = 0.76), the disc itself left out."""
    cosine = way @ sun_direction(climate, seed)
    g = 0.76
    lobe = (1 - g**2) / (1 + g**2 - 2 * g * cosine) ** 1.5 / (4 * np.pi)
    return 0.16 * lobe[..., None] * np.array(climate.sun)


def _clouded(
    sky: NDArray[np.float64], way: NDArray[np.float64], climate: Climate, seed: int
) -> NDArray[np.float64]:
    """A layer of cloud on a plane overhead, lit by the sun and by the sky's mean."""
    field = noise(seed + 40, 1.55, size=512)
    flat = way[..., :2] / np.maximum(way[..., 2:], 0.06) * 46
    row, column = (flat[..., k].astype(int) % 512 for k in (1, 0))
    dense = field[row, column]
    fade = np.clip(way[..., 2] * 9 - 0.3, 0, 1)
    if climate.clouds >= 1.0:
        return sky * (1 + 0.10 * dense * fade)[..., None]
    cover = np.clip((dense - 1.1 + 1.6 * climate.clouds) * 0.8, 0, 0.9) * fade
    mean = 0.5 * (np.array(climate.zenith) + np.array(climate.horizon))
    light = 0.9 * mean + 0.17 * np.array(climate.sun)
    return sky + (light - sky) * cover[..., None]
