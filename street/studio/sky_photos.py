"""Photographs of skies as light: which of them suit an hour and a weather, and what each shows.

Those not `extra` come with bpy (Poly Haven, CC0), the others with npm's `@pmndrs/assets` (CC0). It
knows arrays alone; `sky_files` reads them. Only what stands above a photograph's skyline is used:
it is stretched down to the scene's horizon, so no building of another town shows behind the street.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from street.city.take import Atmosphere
from street.studio.textures import Floats

_CAP = 7.0
"""Brightest radiance kept, in means of the sky: the sun itself is a lamp of the scene."""


@dataclass(frozen=True)
class SkyPhoto:
    """A photograph and the part of it that is sky. Columns are shares of the width.

    `skyline` degrees of elevation hold trees and houses. From column `first` to `last` it is sky
    above that; the scene's circle runs there and back, seamless, `first` being towards the sun.
    Without `last` the whole circle is used. `sun` is the sun's elevation in degrees, None where
    these columns do not show it.
    """

    name: str
    extra: bool
    skyline: float
    first: float
    last: float | None = None
    sun: float | None = None


_SUNRISE = SkyPhoto("sunrise", False, 19, 0.60, 0.12, sun=19)
_SUNSET = SkyPhoto("sunset", False, 9, 0.60, 0.24, sun=10)
_VENICE = SkyPhoto("venice", True, 5, 0.43, 0.93, sun=11)
_DESERT = SkyPhoto("dawn", True, 9, 0.65, 1.15, sun=10)
_BLUE = SkyPhoto("sunrise", False, 7, 0.02, 0.24)
_MEADOW = SkyPhoto("park", True, 8, 0.85, 1.15)
_CUMULUS = SkyPhoto("sky", True, 1, 0.595, sun=48)
_STARS = SkyPhoto("night", False, 15, 0.10, 0.90)
_MILKY_WAY = SkyPhoto("night", True, 18, 0.05, 0.50)
_GREY = SkyPhoto("city", False, 34, 0.63, 0.97)
_CLOUD_LAYER = SkyPhoto("city", True, 27, 0.40, 0.08)

_CLEAR: dict[str, tuple[SkyPhoto, ...]] = {
    "dawn": (_SUNRISE, _VENICE, _SUNSET),
    "noon": (_CUMULUS, _BLUE, _CUMULUS, _MEADOW),
    "sunset": (_SUNSET, _SUNRISE, _DESERT, _VENICE),
    "night": (_STARS, _MILKY_WAY),
}
_COVERED = (_CLOUD_LAYER, _GREY)


def suited(atmosphere: Atmosphere) -> tuple[SkyPhoto, ...]:
    """Photographs that may be the sky of an hour and a weather; those named twice are likelier."""
    return _CLEAR[atmosphere.hour] if atmosphere.weather == "clear" else _COVERED


def trimmed(photo: SkyPhoto, pixels: Floats) -> Floats:
    """The upper half [H / 2, W, 3] of a panorama's `pixels` [H, W, 3], row 0 at the horizon, of
    mean 1: skyline overwritten by the sky above it, sun and dead pixels capped.
    """
    rows = len(pixels) // 2
    first = int(photo.skyline / 90 * rows)
    sky = np.nan_to_num(pixels[rows + first :])
    middle = np.median(sky, axis=(0, 1)).mean()
    bright = sky.max(axis=-1, keepdims=True)
    sky = sky * np.minimum(1, _CAP * middle / np.maximum(bright, 1e-6))
    sky = sky / sky.mean()
    return np.concatenate([np.repeat(sky[:1], first, axis=0), sky]).astype(np.float32)


def photographed(
    photo: SkyPhoto,
    sky: Floats,
    height: NDArray[np.floating],
    turn: NDArray[np.floating],
    sun_height: float,
) -> Floats:
    """Radiance [..., 3] of a `trimmed` sky at directions `height` radians high and `turn` radians
    clockwise from the sun's bearing; the photograph's sun comes to `sun_height` radians.
    """
    rows, columns, _ = sky.shape
    knots, shown = [0.0, 90.0], [photo.skyline, 90.0]
    if photo.sun is not None:
        knots.insert(1, float(np.degrees(sun_height)))
        shown.insert(1, photo.sun)
    rise = np.interp(np.degrees(height), knots, shown)
    around = turn / (2 * np.pi) % 1
    if photo.last is None:
        column = photo.first + around
    else:
        column = photo.first + (photo.last - photo.first) * (1 - np.abs(1 - 2 * around))
    return _sampled(sky, rise / 90 * rows - 0.5, column % 1 * columns - 0.5)


def _sampled(pixels: Floats, row: NDArray[np.floating], column: NDArray[np.floating]) -> Floats:
    """Bilinear, wrapping around sideways."""
    rows, columns, _ = pixels.shape
    row = np.clip(row, 0, rows - 1)
    y, x = np.minimum(row.astype(int), rows - 2), np.floor(column).astype(int)
    fy, fx = (row - y)[..., None], (column - x)[..., None]
    left, right = x % columns, (x + 1) % columns
    low = pixels[y, left] * (1 - fx) + pixels[y, right] * fx
    high = pixels[y + 1, left] * (1 - fx) + pixels[y + 1, right] * fx
    return (low * (1 - fy) + high * fy).astype(np.float32)
