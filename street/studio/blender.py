"""Puts surfaces, matrices and cameras of the city into Blender's open scene."""

from __future__ import annotations

from collections.abc import Sequence

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from street.city.viewpoint import Viewpoint
from street.studio.surface import Surface


def mesh_of(name: str, surface: Surface, materials: Sequence[bpy.types.Material]) -> bpy.types.Mesh:
    """A Blender mesh with the attributes `uv` and `tint`; only the materials it uses are bound."""
    used, slot = np.unique(surface.material, return_inverse=True)
    mesh = bpy.data.meshes.new(name)
    count = len(surface.faces)
    mesh.vertices.add(len(surface.vertices))
    mesh.vertices.foreach_set("co", surface.vertices.ravel())
    mesh.loops.add(3 * count)
    mesh.loops.foreach_set("vertex_index", surface.faces.ravel())
    mesh.polygons.add(count)
    mesh.polygons.foreach_set("loop_start", np.arange(0, 3 * count, 3, dtype=np.int32))
    for number in used:
        mesh.materials.append(materials[number])
    mesh.polygons.foreach_set("material_index", slot.reshape(-1).astype(np.int32))
    mesh.polygons.foreach_set("use_smooth", surface.smooth)
    tint = mesh.attributes.new("tint", "FLOAT_COLOR", "POINT")
    tint.data.foreach_set("color", surface.tint.ravel())
    layer = mesh.uv_layers.new(name="uv")
    layer.uv.foreach_set("vector", surface.uv[surface.faces].ravel())
    mesh.update(calc_edges=True)
    return mesh


def add_object(name: str, mesh: bpy.types.Mesh) -> bpy.types.Object:
    """An object that shows the mesh, linked into the open scene."""
    thing = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(thing)
    return thing


def place(thing: bpy.types.Object, matrix: NDArray[np.float64]) -> None:
    """Moves an object to a row-vector world matrix [4, 4]."""
    thing.matrix_world = Matrix(matrix.T.tolist())


def aim(camera: bpy.types.Object, view: Viewpoint) -> None:
    """Moves a camera object to a viewpoint; its lens was set by `new_camera`."""
    matrix = np.eye(4)
    matrix[0, :3], matrix[1, :3], matrix[2, :3] = view.right, view.up, -view.forward
    matrix[3, :3] = view.position
    place(camera, matrix)


def new_camera(fov_y: float, near: float, far: float) -> bpy.types.Object:
    """The scene's camera; `fov_y` in radians."""
    data = bpy.data.cameras.new("camera")
    data.sensor_fit = "VERTICAL"
    data.angle_y = fov_y
    data.clip_start, data.clip_end = near, far
    camera = bpy.data.objects.new("camera", data)
    bpy.context.scene.collection.objects.link(camera)
    bpy.context.scene.camera = camera
    return camera
