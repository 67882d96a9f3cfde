"""Fits an image of another shape: scaled to cover, the rest cropped evenly on both sides."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
"""`[height, width, 3]`: RGB, row 0 at the top."""


def check_shape(width: int, height: int) -> None:
    """`ValueError` for an empty frame."""
    if width < 1 or height < 1:
        raise ValueError(f"a frame of {width}x{height} pixels is empty; give a positive size")


def check_rate(fps: float) -> None:
    """`ValueError` unless the rate is finite and positive."""
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is {fps}; give a positive number of frames a second")


def cover(have: tuple[int, int], want: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of `have` (width, height) with the proportions of `want`.

    Returns left, top, width, height. Cropping to it and scaling fills `want` without stretching.
    """
    scale = min(have[0] / want[0], have[1] / want[1])
    width = min(have[0], max(1, round(want[0] * scale)))
    height = min(have[1], max(1, round(want[1] * scale)))
    return (have[0] - width) // 2, (have[1] - height) // 2, width, height
