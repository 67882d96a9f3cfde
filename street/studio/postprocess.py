"""From a render's linear light to an 8-bit frame: haze, rain and snow, glare, tone mapping.

Drops and flakes are points in the world that fall as time goes on, so that they agree from frame
to frame; the world repeats itself every few metres, and only the cell around the camera is drawn.
It knows no bpy.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from street.city.viewpoint import Viewpoint
from street.studio.climate import Climate

Floats = NDArray[np.float32]
MIST_REACH = 400.0
"""Metres at which the mist pass is full."""
_CELL = 16.0
_RAIN_FALL, _SNOW_FALL = np.array([0.8, 0.3, -8.0]), np.array([0.35, 0.2, -1.3])
_STEPS = 20


@dataclass(frozen=True, eq=False)
class LinearFrame:
    """`light` [H, W, 3] linear, scene-referred; `distance` [H, W] metres to what is seen, its
    mean over the pixel, `MIST_REACH` and beyond for the sky.
    """

    light: NDArray[np.float32]
    distance: NDArray[np.float32]


def hazed(frame: LinearFrame, climate: Climate) -> Floats:
    """A frame's light seen through haze (Koschmieder's law)."""
    through = np.exp(-frame.distance / climate.haze)
    air = 0.6 * np.array(climate.horizon) + 0.4 * np.array(climate.zenith)
    air = air + np.array([0.030, 0.021, 0.013]) * climate.glow * climate.lamps
    # The sky's own light is what haze leaves of it: clouds show through where air is not fog.
    beyond = np.clip((frame.distance / MIST_REACH - 0.9) * 10, 0, 1)
    through = through + (min(1.0, climate.haze / 250) - through) * beyond
    veil = (1 - through)[..., None]
    return (frame.light * (1 - veil) + air * veil).astype(np.float32)


def falling(
    light: Floats, distance: Floats, climate: Climate, view: Viewpoint, seed: int, time: float
) -> Floats:
    """The light with rain or snow at `time` seconds; as it was in other weather."""
    if climate.snow:
        share = _cover(distance, view, _flakes(seed, time), 0.35)
        return _mixed(light, share, _brightness(climate) * 1.1)
    if climate.wet > 0.5:
        share = _cover(distance, view, _drops(seed, time), 0.055)
        return _mixed(light, share, _brightness(climate) * 1.3)
    return light


def _mixed(light: Floats, share: Floats, colour: NDArray[np.float64]) -> Floats:
    """The light, each pixel's share of it replaced by a colour."""
    return light + share[..., None] * (colour.astype(np.float32) - light)


def _brightness(climate: Climate) -> NDArray[np.float64]:
    """Light that water in the air throws back."""
    lamps = np.array([0.10, 0.075, 0.05]) * climate.glow * climate.lamps
    return 0.8 * np.array(climate.zenith) + 0.2 * np.array(climate.horizon) + lamps


def _drops(seed: int, time: float) -> NDArray[np.float64]:
    """Streaks [N, S, 3] of one shutter time, S points along each."""
    start = np.random.default_rng([seed, 61]).uniform(0, _CELL, (2600, 1, 3))
    shutter = np.linspace(0, 0.045, _STEPS)[None, :, None]
    return start + _RAIN_FALL * (time + shutter)


def _flakes(seed: int, time: float) -> NDArray[np.float64]:
    """Flakes [N, 4, 3], tumbling, a little drawn out by the shutter."""
    rng = np.random.default_rng([seed, 62])
    start = rng.uniform(0, _CELL, (3800, 1, 3))
    phase, pace = rng.uniform(0, 7, (3800, 1)), rng.uniform(1.5, 3.5, (3800, 1))
    shutter = np.linspace(0, 0.03, 4)[None]
    turn = pace * (time + shutter) + phase
    sway = 0.25 * np.stack([np.sin(turn), np.cos(0.8 * turn), 0 * turn], axis=-1)
    return start + _SNOW_FALL * (time + shutter)[..., None] + sway


def _cover(distance: Floats, view: Viewpoint, tracks: NDArray[np.float64], weight: float) -> Floats:
    """How much [H, W] of each pixel the tracks [N, S, 3] cover, those behind things left out."""
    height, width = distance.shape
    # The whole track wraps with its first point, so that none is torn.
    first = tracks[:, :1]
    home = (first - view.position + _CELL / 2) % _CELL - _CELL / 2
    points = view.position + home + (tracks - first)
    pixel, depth = view.pixels(points, width, height)
    pixel = pixel - 0.5
    x, y = np.floor(pixel[..., 0]), np.floor(pixel[..., 1])
    seen = (depth > 0.7) & (x >= 0) & (x < width - 1) & (y >= 0) & (y < height - 1)
    column, row, near = x[seen].astype(int), y[seen].astype(int), depth[seen]
    visible = near < distance[row, column]
    column, row, near = column[visible], row[visible], near[visible]
    fx, fy = (pixel[seen][visible] - np.stack([column, row], axis=1)).T
    strength = weight * np.clip(4.0 / near, 0.15, 1.2)
    cover = np.zeros((height, width))
    for dx, share_x in ((0, 1 - fx), (1, fx)):
        for dy, share_y in ((0, 1 - fy), (1, fy)):
            np.add.at(cover, (row + dy, column + dx), strength * share_x * share_y)
    return np.clip(cover, 0, 0.75).astype(np.float32)


def tone_mapped(light: Floats, exposure: float) -> NDArray[np.uint8]:
    """sRGB [H, W, 3] of scene-referred linear light: exposure, glare and a filmic curve."""
    exposed = _glared(np.maximum(light, 0) * np.float32(exposure))
    return np.rint(_encoded(_filmic(_muted(exposed))) * 255).astype(np.uint8)


def metered_exposure(lights: Sequence[Floats], brightness: float, start: float) -> float:
    """The exposure at which these frames have a mean sRGB value of `brightness`, in [0, 1].

    One exposure for a whole clip, as a camera's that is set before the shot: the light may change
    while it lasts, the camera does not. At most two stops from `start`, so that a close wall at
    night stays a wall at night.
    """
    low, high = math.log2(start) - 2, math.log2(start) + 2
    while high - low > 0.01:
        middle = (low + high) / 2
        shown = np.mean([tone_mapped(light, 2.0**middle).mean() for light in lights]) / 255
        low, high = (middle, high) if shown < brightness else (low, middle)
    return float(2.0**low)


def _muted(light: Floats) -> Floats:
    """A little less colour, since the curve, applied to each channel alone, adds some."""
    grey = light @ np.array([0.2126, 0.7152, 0.0722], np.float32)
    return light + 0.16 * (grey[..., None] - light)


def _glared(light: Floats) -> Floats:
    """A lens spreads a little of what shines: soft discs around lamps."""
    excess = np.clip(light - 1.0, 0, 12)
    if not excess.any():
        return light
    rows, columns, _ = light.shape
    # A dark border, so that what shines at one edge does not glow at the opposite one.
    border = rows // 4
    excess = np.pad(excess, ((0, border), (0, border), (0, 0)))
    height, width, _ = excess.shape
    v, u = np.fft.fftfreq(height)[:, None, None], np.fft.rfftfreq(width)[None, :, None]
    spectrum = np.fft.rfft2(excess, axes=(0, 1))
    lobes = (
        share * np.exp(-2 * (np.pi * max(spread * rows / 144, 0.6)) ** 2 * (u**2 + v**2))
        for spread, share in ((1.6, 0.16), (7.0, 0.08))
    )
    halo = np.fft.irfft2(spectrum * sum(lobes), s=(height, width), axes=(0, 1))
    return (light + np.maximum(halo[:rows, :columns], 0)).astype(np.float32)


def _filmic(x: Floats) -> Floats:
    """K. Narkowicz, "ACES Filmic Tone Mapping Curve", 2016; input scaled by 0.6 as there."""
    x = 0.6 * x
    return np.clip(x * (2.51 * x + 0.03) / (x * (2.43 * x + 0.59) + 0.14), 0, 1)


def _encoded(x: Floats) -> Floats:
    """Linear to sRGB (IEC 61966-2-1)."""
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * x ** (1 / 2.4) - 0.055)
