"""HSV jitter: the control of a real clip is the clip itself in other colours, drawn once per clip.

Drawn per frame, the control would flicker, and the colour of every frame would have to be guessed
(the paper's phase 2 draws it per clip). Hue turns, saturation and value are scaled.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pillow

from trainer.settings import JitterConfig

LEVELS = 256
Frames = NDArray[np.uint8]
"""Frames `[F, 3, H, W]`, RGB."""


@dataclass(frozen=True)
class Jitter:
    """One draw. `hue`: turn as a share of the circle; the others are factors."""

    hue: float
    saturation: float
    value: float


def draw_jitter(config: JitterConfig, random_: random.Random) -> Jitter:
    """Uniform within the configured ranges."""
    return Jitter(
        random_.uniform(-config.hue, config.hue),
        random_.uniform(1 - config.saturation, 1 + config.saturation),
        random_.uniform(1 - config.value, 1 + config.value),
    )


def jittered(frames: Frames, jitter: Jitter) -> Frames:
    """All frames `[F, 3, H, W]` in the same other colours."""
    count, _, height, width = frames.shape
    tall = frames.transpose(0, 2, 3, 1).reshape(count * height, width, 3)
    levels = np.arange(LEVELS)
    hue = (levels + round(jitter.hue * LEVELS)) % LEVELS
    saturation = np.clip(levels * jitter.saturation, 0, LEVELS - 1)
    value = np.clip(levels * jitter.value, 0, LEVELS - 1)
    table = np.concatenate([hue, saturation, value]).round().astype(int).tolist()
    turned = Pillow.fromarray(np.ascontiguousarray(tall)).convert("HSV").point(table)
    rgb = np.asarray(turned.convert("RGB")).reshape(count, height, width, 3)
    return np.ascontiguousarray(rgb.transpose(0, 3, 1, 2))
