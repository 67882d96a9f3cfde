"""Structure: does a video hold the same things in the same places, whatever its style?

Two measures. Relations between DINO tokens, compared with another video's; and edges, compared
with the engine's depth. Neighbours beyond a frame's border count as equal.

F frames, H W pixel rows and columns, N DINO tokens of a frame, D their width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2r.models.dino import DinoEncoder
from trainer.evaluate.geometry import Geometry
from trainer.evaluate.videos import Frames, Plane, as_tensor, luma

Mask = NDArray[np.bool_]

FRAMES_AT_ONCE = 16
DEPTH_STEP = 0.1
"""Neighbours whose depths differ by more than this share are an edge."""
FAINT = 0.002
"""Sobel gradient below which a pixel is no edge, only rounding: one level in 255 gives 0.016."""
TOLERANCE = 1
"""Pixels by which two edges may lie apart and still be the same."""


def edge_f1(frames: Frames, geometry: Geometry) -> float | None:
    """F1 of a clip's strongest luma edges against its depth edges, in [0, 1], up is better.

    In each frame as many pixels count as luma edges as there are depth edges, the steepest first,
    so no threshold favours bright scenes. `F1 = 2 P R / (P + R)` with precision P and recall
    R within one pixel; the mean over frames that have depth edges, None without any.
    """
    scores = []
    for frame, depth, part in zip(frames, geometry.depth, geometry.part, strict=True):
        wanted = depth_edges(depth, part)
        if wanted.any():
            edges = steepest(edge_strength(luma(frame)), int(wanted.sum()))
            scores.append(f1(edges, wanted))
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


def f1(edges: Mask, wanted: Mask) -> float:
    """F1 in [0, 1] of edge pixels `[H, W]` within the tolerance; 0 when either has none."""
    if not edges.any() or not wanted.any():
        return 0.0
    precision = float(widened(wanted)[edges].mean())
    recall = float(widened(edges)[wanted].mean())
    total = precision + recall
    return 2 * precision * recall / total if total else 0.0


def widened(mask: Mask) -> Mask:
    """All pixels within the tolerance of the mask's, in rows and columns."""
    side = 2 * TOLERANCE + 1
    padded = np.pad(mask, TOLERANCE)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side))
    return np.asarray(windows.any(axis=(2, 3)))


def tokens(dino: DinoEncoder, frames: Frames) -> Tensor:
    """DINO tokens `[F, N, D]` of frames `[F, H, W, 3]`, float32 on the CPU."""
    device = next(dino.parameters()).device
    return dino(as_tensor(frames)[None].to(device), batch=FRAMES_AT_ONCE)[0].float().cpu()


def gram_agreement(ours: Tensor, theirs: Tensor) -> float:
    """How alike the Gram matrices of two videos' tokens `[F, N, D]` are, in [0, 1], up is better.

    Linear CKA (Kornblith et al. 2019) of each frame, averaged: with K and L the Gram matrices of
    the tokens less their mean, `<K, L> / (|K| |L|)`. Relations between places count, their
    appearance does not (as in VideoREPA's loss). A frame of equal tokens agrees with nothing.
    """
    first, second = (x - x.mean(dim=1, keepdim=True) for x in (ours.double(), theirs.double()))
    gram, other = (x @ x.transpose(1, 2) for x in (first, second))
    inner = (gram * other).sum(dim=(1, 2))
    size = torch.linalg.matrix_norm(gram) * torch.linalg.matrix_norm(other)
    agreement = torch.where(size > 0, inner / size.clamp_min(1e-30), torch.zeros_like(inner))
    return float(agreement.mean())
