"""Exact depth and part numbers: one ray through the middle of every pixel, no sampling.

Cycles' own depth pass is a mean over a pixel's samples, which at an outline is the depth of
nothing. Here rays meet the meshes that Blender renders, in Blender's own search trees.
"""

from __future__ import annotations

import bpy
import numpy as np
from mathutils.bvhtree import BVHTree
from numpy.typing import NDArray

from street.city.viewpoint import Viewpoint


class RayCaster:
    """Search trees of the still mesh and of each moving part, in its own axes."""

    def __init__(self, still: bpy.types.Mesh, parts: list[bpy.types.Mesh]) -> None:
        self._still = _tree(still)
        self._parts = [_tree(mesh) for mesh in parts]
        self._boxes = [_corners(mesh) for mesh in parts]

    def cast(
        self, view: Viewpoint, matrices: NDArray[np.float64], size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Depth [H, W] along the view in metres, inf where there is nothing, and parts [H, W]: 0
        still, k + 1 on part k. `matrices` [K, 4, 4] are the parts' world matrices, `size` is
        (width, height).
        """
        width, height = size
        rays = _rays(view, width, height)
        depth = _first_hits(self._still, view, rays, np.arange(len(rays)), np.eye(4))
        part = np.zeros(len(rays), np.int32)
        for number, (tree, box) in enumerate(zip(self._parts, self._boxes, strict=True), start=1):
            matrix = matrices[number - 1]
            chosen = _within(view, box @ matrix, width, height)
            if not len(chosen):
                continue
            hits = _first_hits(tree, view, rays, chosen, matrix)
            nearer = hits < depth[chosen]
            depth[chosen[nearer]], part[chosen[nearer]] = hits[nearer], number
        depth[depth > view.far] = np.inf
        return depth.reshape(height, width).astype(np.float32), part.reshape(height, width)


def _tree(mesh: bpy.types.Mesh) -> BVHTree:
    points, faces = _arrays(mesh)
    return BVHTree.FromPolygons(points.tolist(), faces.tolist(), all_triangles=True)


def _arrays(mesh: bpy.types.Mesh) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    points = np.empty(3 * len(mesh.vertices), np.float32)
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.vertices.foreach_get("co", points)
    mesh.loops.foreach_get("vertex_index", corners)
    return points.reshape(-1, 3), corners.reshape(-1, 3)


def _corners(mesh: bpy.types.Mesh) -> NDArray[np.float64]:
    """The bounding box's corners [8, 4], homogeneous."""
    points, _ = _arrays(mesh)
    low, high = points.min(axis=0), points.max(axis=0)
    pick = np.array(np.meshgrid(*3 * [[0, 1]])).reshape(3, -1).T
    return np.column_stack([np.where(pick, high, low), np.ones(8)]).astype(np.float64)


def _rays(view: Viewpoint, width: int, height: int) -> NDArray[np.float64]:
    """Directions [H * W, 3], each one metre deep."""
    wide, tall = view.slopes
    x = ((np.arange(width) + 0.5) * 2 / width - 1) * wide
    y = (1 - (np.arange(height) + 0.5) * 2 / height) * tall
    across, up = np.meshgrid(x, y)
    return (
        across[..., None] * view.right + up[..., None] * view.up + view.forward
    ).reshape(-1, 3)  # fmt: skip


def _within(
    view: Viewpoint, corners: NDArray[np.float64], width: int, height: int
) -> NDArray[np.int64]:
    """Pixels, as indices, of the rectangle that a box's corners [8, 4] span."""
    pixel, depth = view.pixels(corners[:, :3], width, height)
    if (depth < view.near).all():
        return np.arange(0)
    if (depth < view.near).any():
        return np.arange(width * height)
    limit = np.array([width, height])
    low = np.clip(np.floor(pixel.min(axis=0)) - 1, 0, limit).astype(int)
    high = np.clip(np.ceil(pixel.max(axis=0)) + 1, 0, limit).astype(int)
    rows, columns = np.arange(low[1], high[1]), np.arange(low[0], high[0])
    return (rows[:, None] * width + columns).ravel()


def _first_hits(
    tree: BVHTree,
    view: Viewpoint,
    rays: NDArray[np.float64],
    chosen: NDArray[np.int64],
    matrix: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Depths of the first hits beyond the near plane along the chosen rays, inf for none."""
    # Rays are taken into the part's own axes, so that its tree is built once for all frames. A ray
    # one metre deep in view space is not one metre long: hits are divided by its length again.
    back = np.linalg.inv(matrix)
    eye = np.append(view.position, 1.0) @ back
    ways = rays[chosen] @ back[:3, :3]
    lengths = np.linalg.norm(ways, axis=1)
    starts = eye[:3] + ways * view.near
    units = ways / lengths[:, None]
    distances = np.array(
        [
            hit if (hit := tree.ray_cast(start, way)[3]) is not None else np.inf
            for start, way in zip(starts.tolist(), units.tolist(), strict=True)
        ]
    )
    return view.near + distances / lengths
