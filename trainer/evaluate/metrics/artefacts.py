"""Marks of computer graphics that a renderer may copy from its coarse input.

Three measures without a network. They mean little alone: compare them with real footage.

F frames, H W pixel rows and columns; `frames` are `[F, H, W, 3]` uint8.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trainer.evaluate.metrics.structure import edge_strength, steepest, widened
from trainer.evaluate.videos import Frames, Plane, luma

BLOCK = 8
"""Pixels a side of the blocks whose texture is measured."""
FLAT = 2 / 255
"""A block whose luma deviates less than this is flat: two levels, just above codec noise."""
COARSE_BLOCKS = (6, 8)
"""Rows and columns of the grid on which lighting is compared."""
EDGE_SHARE = 0.05
"""Share of a coarse frame's pixels that count as its edges."""


@dataclass(frozen=True)
class Artefacts:
    """The three measures of one clip; `edge_leakage` None without a coarse clip."""

    texture_flatness: float
    lighting_uniformity: float
    edge_leakage: float | None


def artefacts(frames: Frames, coarse: Frames | None = None) -> Artefacts:
    """All three; `ValueError` when the coarse clip has another shape."""
    leakage = None if coarse is None else edge_leakage(frames, coarse)
    return Artefacts(texture_flatness(frames), lighting_uniformity(frames), leakage)


def texture_flatness(frames: Frames) -> float:
    """Share of 8x8 blocks without texture, in [0, 1]; up is more like flat-shaded graphics.

    A block is flat when its luma, less the plane that fits it best, deviates by under two levels:
    a smooth gradient is no texture.
    """
    return float(np.mean([(_roughness(luma(frame)) < FLAT).mean() for frame in frames]))


def _roughness(plane: Plane) -> Plane:
    """Deviation of each 8x8 block `[rows, columns]` from its best plane."""
    rows, columns = (side // BLOCK for side in plane.shape)
    if not rows or not columns:
        raise ValueError(f"frames of {plane.shape[1]}x{plane.shape[0]} are smaller than a block")
    blocks = plane[: rows * BLOCK, : columns * BLOCK].reshape(rows, BLOCK, columns, BLOCK)
    blocks = blocks.swapaxes(1, 2) - blocks.mean(axis=(1, 3))[:, :, None, None]
    ramp = np.arange(BLOCK, dtype=np.float32) - (BLOCK - 1) / 2
    power = BLOCK * float((ramp**2).sum())
    down = np.einsum("rcyx,y->rc", blocks, ramp)
    across = np.einsum("rcyx,x->rc", blocks, ramp)
    rest = (blocks**2).sum(axis=(2, 3)) - (down**2 + across**2) / power
    return np.sqrt(np.maximum(rest, 0) / BLOCK**2)


def lighting_uniformity(frames: Frames) -> float:
    """How evenly a frame is lit, in (0, 1]: `1 / (1 + s / m)`, up is more even.

    m and s are mean and standard deviation of the mean lumas of 6 x 8 fields of a frame.
    """
    return float(np.mean([_uniformity(luma(frame)) for frame in frames]))


def _uniformity(plane: Plane) -> float:
    strips = np.array_split(plane, COARSE_BLOCKS[0], axis=0)
    fields = [
        field.mean()
        for strip in strips
        for field in np.array_split(strip, COARSE_BLOCKS[1], axis=1)
    ]
    mean = float(np.mean(fields))
    return 1.0 if mean == 0 else 1 / (1 + float(np.std(fields)) / mean)


def edge_leakage(frames: Frames, coarse: Frames) -> float:
    """How much of a clip's edges lies on the coarse clip's, in [0, 1]: `on / (on + off)`.

    on and off are the mean Sobel gradients within a pixel of the coarse frame's steepest 5 % of
    pixels, and elsewhere. 0.5: independent of the coarse edges; 1: there are no others.
    """
    if frames.shape != coarse.shape:
        shapes = f"{list(frames.shape)} and {list(coarse.shape)}"
        raise ValueError(f"frames and coarse clip differ in shape: {shapes}; cut them alike")
    return float(np.mean([_leakage(luma(a), luma(b)) for a, b in zip(frames, coarse, strict=True)]))


def _leakage(plane: Plane, coarse: Plane) -> float:
    count = max(1, round(EDGE_SHARE * coarse.size))
    edges = widened(steepest(edge_strength(coarse), count))
    strength = edge_strength(plane)
    if not edges.any() or edges.all():
        return 0.5
    on, off = float(strength[edges].mean()), float(strength[~edges].mean())
    return 0.5 if on + off == 0 else on / (on + off)
