"""Edges of pictures and of depth, and how far they agree.

F frames, H W pixel rows and columns. Neighbours beyond the border count as equal.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainer.evaluate.geometry import Geometry
from trainer.evaluate.videos import Pictures, Plane, luma

Mask = NDArray[np.bool_]

DEPTH_STEP = 0.1
"""Neighbours whose depths differ by more than this share are an edge."""
FAINT = 0.002
"""Sobel gradient below which a pixel is no edge, only rounding: one level in 255 gives 0.016."""
TOLERANCE = 1
"""Pixels by which two edges may lie apart and still be the same."""


def edge_f1(pictures: Pictures, geometry: Geometry) -> float | None:
    """F1 of a clip's strongest picture edges against its depth edges, in [0, 1], up is better.

    In each frame as many pixels count as picture edges as there are depth edges, the steepest
    first, so no threshold favours bright scenes. `F1 = 2 P R / (P + R)` with precision P and recall
    R within one pixel; the mean over frames that have depth edges, None without any.
    """
    scores = []
    for picture, depth, part in zip(pictures, geometry.depth, geometry.part, strict=True):
        wanted = depth_edges(depth, part)
        if wanted.any():
            found = steepest(edge_strength(luma(picture)), int(wanted.sum()))
            scores.append(f1(found, wanted))
    return float(np.mean(scores)) if scores else None


def edge_strength(plane: Plane) -> Plane:
    """Size of the Sobel gradient `[H, W]` of a plane `[H, W]`."""
    p = np.pad(plane, 1, mode="edge")
    smooth_down = p[:-2] + 2 * p[1:-1] + p[2:]
    smooth_across = p[:, :-2] + 2 * p[:, 1:-1] + p[:, 2:]
    strength: Plane = np.hypot(
        smooth_down[:, 2:] - smooth_down[:, :-2], smooth_across[2:] - smooth_across[:-2]
    )
    return strength


def steepest(strength: Plane, count: int) -> Mask:
    """The `count` strongest pixels `[H, W]`; flat ones never, equal ones together."""
    flat = strength.ravel()
    least = np.partition(flat, len(flat) - count)[len(flat) - count]
    return np.greater_equal(strength, max(float(least), FAINT))


def depth_edges(depth: Plane, part: NDArray[np.int32]) -> Mask:
    """Pixels `[H, W]` on either side of a step in depth, or of a border between moving parts.

    `depth` [H, W] metres, inf for the sky.
    """
    nearness = 1 / depth
    edges = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        first, second = _neighbours(nearness, axis)
        step = np.abs(first - second) > DEPTH_STEP * np.maximum(first, second)
        one, other = _neighbours(part, axis)
        for side in _neighbours(edges, axis):
            side |= step | (one != other)
    return edges


def _neighbours(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Views of all pixels but the last along `axis`, and of the next one to each."""
    turned = np.moveaxis(array, axis, 0)
    return np.moveaxis(turned[:-1], 0, axis), np.moveaxis(turned[1:], 0, axis)


def f1(found: Mask, wanted: Mask) -> float:
    """F1 in [0, 1] of edge pixels `[H, W]` within the tolerance; 0 when either has none."""
    if not found.any() or not wanted.any():
        return 0.0
    precision = float(widened(wanted)[found].mean())
    recall = float(widened(found)[wanted].mean())
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def widened(mask: Mask) -> Mask:
    """All pixels within the tolerance of the mask's, in rows and columns."""
    side = 2 * TOLERANCE + 1
    padded = np.pad(mask, TOLERANCE)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return np.asarray(windows.any(axis=(2, 3)))
