"""Flat-shaded meshes as arrays.

Every face has corners of its own, with the face's normal, so that a renderer that can only
interpolate still shades it flat. Metres, Z up, counter-clockwise seen from outside. No engine.

V vertices, T triangles.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from street.city.plan import Colour

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Mesh:
    """`vertices`, `normals` and `colours` (sRGB in [0, 1]) float32 [V, 3]; `faces` int32 [T, 3]."""

    vertices: Floats
    normals: Floats
    colours: Floats
    faces: NDArray[np.int32]

    def moved(self, x: float, y: float, z: float = 0.0, heading: float = 0.0) -> Mesh:
        """Turned by `heading` radians about Z, then shifted."""
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
        vertices = self.vertices @ turn + np.array([x, y, z], np.float32)
        return Mesh(vertices, self.normals @ turn, self.colours, self.faces)


def join(meshes: Iterable[Mesh]) -> Mesh:
    """One mesh of many. Raises ValueError when there are none."""
    parts = list(meshes)
    if not parts:
        raise ValueError("join needs at least one mesh")
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    return Mesh(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.normals for part in parts]),
        np.concatenate([part.colours for part in parts]),
        np.concatenate(
            [part.faces + start for part, start in zip(parts, starts, strict=True)]
        ).astype(np.int32),
    )


def polygons(outlines: Sequence[NDArray[np.floating]], colours: Sequence[Colour]) -> Mesh:
    """Convex flat polygons [corners, 3] each in its own colour, counter-clockwise from outside."""
    sizes = np.array([len(outline) for outline in outlines])
    starts = np.cumsum(sizes) - sizes
    corners = np.concatenate(outlines)
    fans = [_fan(size) + start for size, start in zip(sizes, starts, strict=True)]
    return Mesh(
        corners.astype(np.float32),
        np.repeat(_normals(corners, starts), sizes, axis=0).astype(np.float32),
        np.repeat(np.array(colours, np.float32), sizes, axis=0),
        np.concatenate(fans),
    )


@cache
def _fan(size: int) -> NDArray[np.int32]:
    """Triangles [size - 2, 3] of a convex polygon."""
    second = np.arange(1, size - 1, dtype=np.int32)
    return np.stack([np.zeros_like(second), second, second + 1], axis=1)


def _normals(corners: NDArray[np.floating], starts: NDArray[np.int64]) -> NDArray[np.floating]:
    """Unit normal [polygons, 3] of each run of corners, by Newell's sum of cross products."""
    after = np.arange(1, len(corners) + 1)
    after[np.append(starts[1:], len(corners)) - 1] = starts
    total = np.add.reduceat(np.cross(corners, corners[after]), starts, axis=0)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)
