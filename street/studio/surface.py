"""Surfaces as arrays, on their way from the city's meshes into Blender.

A surface adds to a mesh what a renderer needs: texture coordinates, a linear tint with a glow, and
the number of a material. It knows neither shaders nor bpy.

V vertices, T triangles, Q quads.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import IntEnum, auto

import numpy as np
from numpy.typing import NDArray

from street.city.mesh import Mesh

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


class MaterialKind(IntEnum):
    """The material of a face; its value is the material's number."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:
        return count

    BRICK = auto()
    PLASTER = auto()
    CONCRETE = auto()
    TRIM = auto()
    WINDOW = auto()
    SHOP = auto()
    DOOR = auto()
    AWNING = auto()
    TOWER = auto()
    ROOF = auto()
    ASPHALT = auto()
    PAVING = auto()
    MARKING = auto()
    GRASS = auto()
    LEAF = auto()
    BARK = auto()
    METAL = auto()
    BULB = auto()
    PAINT = auto()
    GLASS = auto()
    RUBBER = auto()
    CHROME = auto()
    CAR_LAMP = auto()
    CLOTH = auto()
    SKIN = auto()
    HAIR = auto()
    FRAME = auto()
    SIGN = auto()


@dataclass(frozen=True)
class Surface:
    """`vertices` [V, 3] metres, `uv` [V, 2], `tint` [V, 4] (linear RGB and glow in [0, 1]),
    `faces` [T, 3], and for each face its `material` [T] and whether it is `smooth` [T].
    """

    vertices: Floats
    uv: Floats
    tint: Floats
    faces: Ints
    material: Ints
    smooth: NDArray[np.bool_]

    def moved(self, x: float, y: float, z: float = 0.0, heading: float = 0.0) -> Surface:
        """Turned by `heading` radians about Z, then shifted."""
        c, s = np.cos(heading), np.sin(heading)
        turn = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]], np.float32)
        return replace(self, vertices=self.vertices @ turn + np.array([x, y, z], np.float32))


def linear(colours: NDArray[np.floating]) -> Floats:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    c = np.asarray(colours, np.float32)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4).astype(np.float32)


def surface(
    vertices: NDArray[np.floating],
    faces: NDArray[np.integer],
    colours: NDArray[np.floating],
    material: int | NDArray[np.integer],
    *,
    uv: NDArray[np.floating] | None = None,
    glow: float | NDArray[np.floating] = 0.0,
    smooth: bool = False,
) -> Surface:
    """A surface from sRGB `colours` ([3] or [V, 3]); without `uv` it is mapped in metres."""
    points = np.asarray(vertices, np.float32)
    tint = np.empty((len(points), 4), np.float32)
    tint[:, :3] = linear(np.asarray(colours))
    tint[:, 3] = glow
    mapped = metres(points, faces) if uv is None else np.asarray(uv, np.float32)
    number = np.broadcast_to(np.asarray(material, np.int32), len(faces)).copy()
    triangles = np.asarray(faces, np.int32)
    return Surface(points, mapped, tint, triangles, number, np.full(len(faces), smooth))


def metres(points: Floats, faces: NDArray[np.integer]) -> Floats:
    """Texture coordinates [V, 2] in metres, seen along the axis that each face looks along most.

    Corners that faces share take the axis of the last of them.
    """
    a, b, c = (points[faces[:, k]] for k in range(3))
    axis = np.zeros(len(points), int)
    axis[faces] = np.abs(np.cross(b - a, c - a)).argmax(axis=1)[:, None]
    u = np.where(axis == 0, points[:, 1], points[:, 0])
    v = np.where(axis == 2, points[:, 1], points[:, 2])
    return np.stack([u, v], axis=1)


def of_mesh(mesh: Mesh, material: int | NDArray[np.integer], *, shade: float = 1.0) -> Surface:
    """A city mesh as it is, its colours times `shade`."""
    return surface(mesh.vertices, mesh.faces, mesh.colours * shade, material)


def gathered(surfaces: Iterable[Surface]) -> Surface:
    """One surface of many, at least one."""
    parts = list(surfaces)
    starts = np.cumsum([0] + [len(part.vertices) for part in parts[:-1]])
    shifted = [part.faces + start for part, start in zip(parts, starts, strict=True)]
    return Surface(
        np.concatenate([part.vertices for part in parts]),
        np.concatenate([part.uv for part in parts]),
        np.concatenate([part.tint for part in parts]),
        np.concatenate(shifted).astype(np.int32),
        np.concatenate([part.material for part in parts]),
        np.concatenate([part.smooth for part in parts]),
    )


def welded(vertices: Floats, faces: NDArray[np.integer]) -> tuple[Floats, Ints]:
    """The same triangles with corners that lie within 0.1 mm made one."""
    keys = np.round(vertices * 1e4).astype(np.int64)
    _, first, back = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return vertices[first], back.reshape(-1)[faces].astype(np.int32)


def quartered(vertices: Floats, faces: NDArray[np.integer]) -> tuple[Floats, Ints]:
    """Every triangle in four, by the middles of its edges."""
    edges = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]], axis=2).reshape(-1, 2)
    unique, back = np.unique(edges, axis=0, return_inverse=True)
    middles = vertices[unique].mean(axis=1)
    ab, bc, ca = (back.reshape(-1, 3) + len(vertices)).T
    a, b, c = faces.T
    split = np.stack([[a, ab, ca], [ab, b, bc], [ca, bc, c], [ab, bc, ca]])
    grown = np.concatenate([vertices, middles]).astype(np.float32)
    return grown, split.transpose(0, 2, 1).reshape(-1, 3).astype(np.int32)
