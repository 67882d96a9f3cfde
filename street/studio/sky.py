"""The sky as one panorama: a photograph turned to the scene's sun, at the climate's brightness.

The photograph gives form and much of the colour, the climate how much light there is. Clouds are
drawn over photographs without any.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from street.studio.climate import Climate, sun_direction
from street.studio.sky_photos import SkyPhoto, photographed, trimmed
from street.studio.textures import Floats, noise

HEIGHT, WIDTH = 512, 1024
_GROUND = 0.22
"""Albedo of the ground below the horizon."""
_OWN_COLOUR = 0.55
"""How much of a clear sky's colour is the photograph's own, the rest the climate's."""


def panorama(climate: Climate, seed: int, photo: SkyPhoto, pixels: Floats) -> Floats:
    """Radiance [512, 1024, 3], equirectangular as Cycles reads it: row 0 straight down, the middle
    column along +X, columns running clockwise seen from above. `pixels` [H, W, 3] are the
    photograph's, laid out alike.
    """
    way = _directions()
    rise = way[..., 2]
    sky = _turned(photo, trimmed(photo, pixels), way, climate, seed)
    if climate.clouds < 1.0 and photo.sun is None and max(climate.sun) > 0.1:
        sky = _clouded(sky + _glow(way, climate, seed), way, climate, seed)
    sky = sky * _gain(sky, climate)
    below = np.clip(-rise * 12, 0, 1)[..., None]
    ground = np.array(climate.horizon) * _GROUND * 2
    return (sky * (1 - below) + ground * below).astype(np.float32)


def _directions() -> NDArray[np.float64]:
    rise = ((np.arange(HEIGHT) + 0.5) / HEIGHT - 0.5) * np.pi
    turn = -((np.arange(WIDTH) + 0.5) / WIDTH - 0.5) * 2 * np.pi
    z, a = np.meshgrid(rise, turn, indexing="ij")
    return np.stack([np.cos(z) * np.cos(a), np.cos(z) * np.sin(a), np.sin(z)], axis=-1)


def _turned(
    photo: SkyPhoto, sky: Floats, way: NDArray[np.float64], climate: Climate, seed: int
) -> NDArray[np.float64]:
    """The photograph with its sun at the scene's, about as bright as the climate's sky."""
    sun = sun_direction(climate, seed)
    bearing = np.arctan2(sun[1], sun[0])
    # Columns of photographs run clockwise, bearings anticlockwise.
    turn = bearing - np.arctan2(way[..., 1], way[..., 0])
    height = np.maximum(np.arcsin(way[..., 2].clip(-1, 1)), 0)
    return photographed(photo, sky, height, turn, climate.elevation) * _mean_sky(climate).mean()


def _mean_sky(climate: Climate) -> NDArray[np.float64]:
    """Mean radiance [3], weighted as it falls on level ground; the horizon counts for a third."""
    return 0.66 * np.array(climate.zenith) + 0.34 * np.array(climate.horizon)


def _gain(sky: NDArray[np.float64], climate: Climate) -> NDArray[np.float64]:
    """Factors [3] that give the sky the climate's light on level ground, and some of its colour."""
    upper = sky[HEIGHT // 2 :]
    weight = np.sin((np.arange(len(upper)) + 0.5) / len(upper) * np.pi)[:, None]
    mean = (upper.mean(axis=1) * weight).sum(axis=0) / weight.sum()
    wanted = _mean_sky(climate)
    own = _OWN_COLOUR if climate.clouds < 1.0 else 0.15
    return (wanted.mean() / mean.mean()) ** own * (wanted / mean) ** (1 - own)


def _glow(way: NDArray[np.float64], climate: Climate, seed: int) -> NDArray[np.float64]:
    """Light scattered forward by haze (Henyey-Greenstein, g = 0.76), the disc itself left out."""
    cosine = way @ sun_direction(climate, seed)
    g = 0.76
    lobe = (1 - g**2) / (1 + g**2 - 2 * g * cosine) ** 1.5 / (4 * np.pi)
    return 0.12 * lobe[..., None] * np.array(climate.sun)


def _clouded(
    sky: NDArray[np.float64], way: NDArray[np.float64], climate: Climate, seed: int
) -> NDArray[np.float64]:
    """Broken clouds on a plane overhead, lit by the sun and by the sky's mean."""
    field = noise(seed + 40, 1.55, size=512)
    flat = way[..., :2] / np.maximum(way[..., 2:], 0.06) * 46
    row, column = (flat[..., k].astype(int) % 512 for k in (1, 0))
    fade = np.clip(way[..., 2] * 9 - 0.3, 0, 1)
    cover = np.clip((field[row, column] - 1.1 + 1.6 * climate.clouds) * 0.8, 0, 0.9) * fade
    light = 0.9 * _mean_sky(climate) + 0.17 * np.array(climate.sun)
    return sky + (light - sky) * cover[..., None]
