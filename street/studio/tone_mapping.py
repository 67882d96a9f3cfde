"""From scene light to 8-bit sRGB: glare around what is too bright, exposure, a filmic curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def developed(light: Floats, exposure: float) -> NDArray[np.uint8]:
    """The picture [H, W, 3] of scene-referred linear light."""
    exposed = _glared(np.maximum(light, 0) * np.float32(exposure))
    return np.rint(_encoded(_filmic(_muted(exposed))) * 255).astype(np.uint8)


def _muted(light: Floats) -> Floats:
    """A little less colour, as the curve on each channel by itself adds some."""
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
