"""Panda3D's nodes for a plan: still geometry, moving parts, sky and light.

It turns meshes into nodes and puts matrices on them; shapes and colours are decided in the mesh
modules and in `levels`, places in `world`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from panda3d.core import (
    AmbientLight,
    AntialiasAttrib,
    BitMask32,
    DirectionalLight,
    Geom,
    GeomEnums,
    GeomNode,
    GeomTriangles,
    GeomVertexData,
    GeomVertexFormat,
    LMatrix4f,
    Material,
    NodePath,
    TransparencyAttrib,
    Vec3,
    Vec4,
)

from street.city.levels import level_meshes
from street.city.mesh import Mesh, join
from street.city.plan import Colour, Plan, Point
from street.city.take import Level
from street.game.shadows import (
    DARK,
    STRENGTH,
    SUN,
    car_shadow,
    person_shadow,
    still_shadows,
)
from street.game.sky import pale_sky, sky_mesh

Array = NDArray[np.float64]

COLOUR, GEOMETRY = BitMask32.bit(0), BitMask32.bit(1)
"""Camera masks: what the colour camera sees, and what the depth and part camera sees."""


@dataclass(frozen=True)
class _Light:
    """`lamps`: the direction that each light shines in, and its colour; the sun, and the sky
    opposite.
    """

    ambient: Colour
    lamps: tuple[tuple[Colour, Colour], ...]


_DAY = _Light(
    (0.56, 0.59, 0.65), ((SUN, (0.56, 0.52, 0.45)), ((0.7, -0.5, -0.2), (0.08, 0.09, 0.12)))
)
_GREY = _Light((0.62,) * 3, ((SUN, (0.38,) * 3), ((0.7, -0.5, -0.2), (0.14,) * 3)))

CELL = 24.0


class Scene:
    """The node tree of one plan at one level. `root` is what cameras render.

    Only `mid` has the sun's shadows, coloured light and clouds: greys say nothing of the hour.

    `tiny` is for Panda3D's software renderer, which multiplies lit vertices by their colour once
    more: a white material keeps the first time from counting, and both renderers agree.
    """

    def __init__(self, plan: Plan, level: Level = "mid", *, tiny: bool = False) -> None:
        self.root = NodePath("city")
        self.root.set_shader_input("part", 0.0)
        if tiny:
            self.root.set_material(_white())
        # Panda3D sorts by the memory address of states unless a bin says otherwise, and where
        # surfaces tie in depth the order is visible: two runs would differ.
        self.root.set_bin("unsorted", 0)
        # Some meshes are open on a side that is hardly ever seen (a cornice from below): the ray
        # tracer of the fine clip shows their inside there, so this must too.
        self.root.set_two_sided(True)
        self.root.set_antialias(AntialiasAttrib.M_multisample)
        coloured, drawn = level == "mid", level_meshes(plan, level)
        self._light(_DAY if coloured else _GREY)
        self._sky = self._backdrop(sky_mesh(plan.seed) if coloured else pale_sky())
        for order, mesh in enumerate(drawn.ground, start=1):
            self._ground(mesh, order)
        for mesh in _cells(drawn.still):
            self.root.attach_new_node(geom_node(mesh, "still"))
        self._shadows: list[NodePath] | None = None
        if coloured:
            self._shadow(still_shadows(plan))
            self._shadows = [self._shadow(mesh) for mesh in _moving_shadows(plan)]
        self._parts = [self._part(mesh, number) for number, mesh in enumerate(drawn.moving, 1)]

    def place(self, parts: Array, shadows: Array, eye: Array) -> None:
        """Moves every part and every shadow to its world matrix ([K, 4, 4], row-vector, as from
        `World`), and the sky to the eye [3].
        """
        _move(self._parts, parts)
        if self._shadows is not None:
            _move(self._shadows, shadows)
        self._sky.set_pos(*eye)

    def _ground(self, mesh: Mesh, order: int) -> NodePath:
        """Nothing is ever behind the ground, so its layers are drawn one over the other; a
        depth test would make them flicker where depth has 16 bits, as in the software renderer.
        """
        node = self.root.attach_new_node(geom_node(mesh, "ground"))
        node.set_depth_test(False)
        node.set_depth_write(False)
        node.set_bin("background", order)
        return node

    def _shadow(self, mesh: Mesh) -> NodePath:
        """Tints the ground; the geometry camera does not see it."""
        node = self._ground(mesh, 9)
        node.set_transparency(TransparencyAttrib.M_alpha)
        node.set_color(*DARK, STRENGTH)
        node.set_light_off()
        node.hide(GEOMETRY)
        return node

    def _part(self, mesh: Mesh, number: int) -> NodePath:
        node = self.root.attach_new_node(geom_node(mesh, f"part {number}"))
        node.set_shader_input("part", float(number))
        return node

    def _light(self, light: _Light) -> None:
        ambient = AmbientLight("ambient")
        ambient.color = Vec4(*light.ambient, 1)
        self.root.set_light(self.root.attach_new_node(ambient))
        for direction, colour in light.lamps:
            lamp = DirectionalLight("light")
            lamp.color = Vec4(*colour, 1)
            lamp.direction = Vec3(*direction)
            self.root.set_light(self.root.attach_new_node(lamp))

    def _backdrop(self, mesh: Mesh) -> NodePath:
        """The sky: unlit, drawn first, without depth; the geometry camera does not see it."""
        sky = self.root.attach_new_node(geom_node(mesh, "sky"))
        sky.set_light_off()
        sky.set_depth_write(False)
        sky.set_depth_test(False)
        sky.set_bin("background", 0)
        sky.hide(GEOMETRY)
        return sky


def _move(nodes: list[NodePath], matrices: Array) -> None:
    for node, row in zip(nodes, matrices.reshape(-1, 16).tolist(), strict=True):
        node.set_mat(LMatrix4f(*row))


def _white() -> Material:
    material = Material()
    material.ambient = material.diffuse = (1, 1, 1, 1)
    return material


def geom_node(mesh: Mesh, name: str) -> GeomNode:
    """A node that draws a mesh with its vertex colours; an empty one for a mesh without faces."""
    node = GeomNode(name)
    if len(mesh.faces) == 0:
        return node
    layout = np.dtype([("vertex", "<f4", 3), ("normal", "<f4", 3), ("colour", "u1", 4)])
    rows = np.empty(len(mesh.vertices), layout)
    rows["vertex"], rows["normal"] = mesh.vertices, mesh.normals
    rows["colour"][:, :3] = np.rint(mesh.colours.clip(0, 1) * 255)
    rows["colour"][:, 3] = 255
    data = GeomVertexData(name, GeomVertexFormat.get_v3n3c4(), GeomEnums.UH_static)
    data.unclean_set_num_rows(len(rows))
    data.modify_array_handle(0).copy_data_from(rows.tobytes())
    triangles = GeomTriangles(GeomEnums.UH_static)
    triangles.set_index_type(GeomEnums.NT_uint32)
    indices = triangles.modify_vertices()
    indices.unclean_set_num_rows(mesh.faces.size)
    indices.modify_handle().copy_data_from(mesh.faces.astype("<u4").tobytes())
    geom = Geom(data)
    geom.add_primitive(triangles)
    node.add_geom(geom)
    return node


def _cells(meshes: Iterable[tuple[Point, Mesh]]) -> Iterable[Mesh]:
    """Joins the meshes of each square of `CELL` metres: few nodes, yet enough to cull."""
    cells: dict[tuple[int, int], list[Mesh]] = {}
    for (x, y), mesh in meshes:
        cells.setdefault((int(x // CELL), int(y // CELL)), []).append(mesh)
    return [join(cell) for cell in cells.values()]


def _moving_shadows(plan: Plan) -> Iterable[Mesh]:
    """The meshes of `World.shadows`, in its order."""
    yield from (person_shadow(walker.height) for walker in plan.walkers)
    yield from (car_shadow(car.look) for car in plan.cars)
