"""The coarse frame on the left, its picture on the right."""

from __future__ import annotations

import numpy as np

from c2r.wire.formats import Image


def side_by_side(coarse: Image, picture: Image, *, gap: int = 0) -> Image:
    """[H, W + gap + W, 3] of two images [H, W, 3]; `gap` white pixels between them.

    ValueError unless both have the same size.
    """
    if coarse.shape != picture.shape:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (coarse, picture)]
        raise ValueError(f"coarse frame {sizes[0]}, picture {sizes[1]}; they must be of one size")
    between = np.full((coarse.shape[0], gap, 3), 255, np.uint8)
    return np.concatenate([coarse, between, picture], axis=1)
