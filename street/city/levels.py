"""The meshes of a plan at each coarse level, for any engine.

All levels put the same things in the same places; they differ in shape and colour. `mid` is the
sample game: flat colours, windows, road markings. `humanoids` has its shapes in greys, without
windows and markings. `blocks` has grey boxes, balls and pills.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from street.city.blocks import car_boxes, lamp_boxes, pill, tree_balls
from street.city.facade import building_bulk, building_mesh, skyline_mesh
from street.city.figure import PARTS, figure_meshes
from street.city.ground import earth, joints, markings, pavements
from street.city.mesh import Mesh
from street.city.plan import KERB, Building, CarModel, Colour, Plan, Point, Tree, Walker
from street.city.poses import CAR_PARTS
from street.city.props import car_body, lamp_mesh, parked_mesh, tree_mesh, wheel_mesh
from street.city.take import LEVELS, Level

LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""Shares of red, green and blue in brightness (ITU-R BT.709)."""
DARKEST, LIGHTEST = 0.16, 0.92
"""Greys for black and for white."""
CAR: Colour = (0.24, 0.24, 0.24)
"""Paint of every car, before it is greyed."""
PERSON: Colour = (0.94, 0.94, 0.94)
LEAF: Colour = (0.56, 0.56, 0.56)
POST: Colour = (0.42, 0.42, 0.42)
_NO_ROWS = np.zeros((0, 3), np.float32)
NOTHING = Mesh(_NO_ROWS, _NO_ROWS, _NO_ROWS, np.zeros((0, 3), np.int32))


@dataclass(frozen=True, eq=False)
class LevelMeshes:
    """The meshes of a plan, in world coordinates but for `moving`.

    `ground` from the lowest layer to the topmost, each drawn over the last; `still` with the
    place (x, y) of each; `moving` around their own joints, in the order of
    `World.parts`: a part that a level leaves out is a mesh without vertices.
    """

    ground: tuple[Mesh, ...]
    still: tuple[tuple[Point, Mesh], ...]
    moving: tuple[Mesh, ...]


def level_meshes(plan: Plan, level: Level) -> LevelMeshes:
    """The meshes of the plan at `level`. Raises ValueError for a level that is not in `LEVELS`."""
    if level not in _SHAPES:
        raise ValueError(f"level {level!r} is unknown; use one of {', '.join(LEVELS)}")
    shapes = _SHAPES[level]
    return LevelMeshes(
        shapes.ground(plan), tuple(_still(plan, shapes)), tuple(_moving(plan, shapes))
    )


def greyed(mesh: Mesh) -> Mesh:
    """The mesh in the brightness of its own colours, paler and with less contrast."""
    grey = DARKEST + (LIGHTEST - DARKEST) * (mesh.colours @ LUMA)
    return replace(mesh, colours=np.repeat(grey[:, None], 3, axis=1))


def coloured(mesh: Mesh, colour: Colour) -> Mesh:
    """The mesh in one colour."""
    return replace(mesh, colours=np.tile(np.array(colour, np.float32), (len(mesh.vertices), 1)))


class _Mid:
    """Each thing as in the sample game."""

    def ground(self, plan: Plan) -> tuple[Mesh, ...]:
        return earth(plan), markings(plan), pavements(plan), joints(plan)

    def skyline(self, plan: Plan) -> Mesh:
        return skyline_mesh(plan)

    def building(self, building: Building) -> Mesh:
        return building_mesh(building)

    def tree(self, tree: Tree) -> Mesh:
        return tree_mesh(tree)

    def lamp(self) -> Mesh:
        return lamp_mesh()

    def parked(self, model: CarModel) -> Mesh:
        return parked_mesh(model)

    def person(self, walker: Walker) -> tuple[Mesh, ...]:
        return figure_meshes(walker)

    def car(self, model: CarModel) -> tuple[Mesh, ...]:
        return (car_body(model), *(wheel_mesh(),) * (CAR_PARTS - 1))


class _Humanoids(_Mid):
    """The same shapes in greys; flat markings are left out."""

    def ground(self, plan: Plan) -> tuple[Mesh, ...]:
        return greyed(earth(plan)), greyed(pavements(plan))

    def skyline(self, plan: Plan) -> Mesh:
        return greyed(skyline_mesh(plan))

    def building(self, building: Building) -> Mesh:
        return greyed(building_bulk(building))

    def tree(self, tree: Tree) -> Mesh:
        return greyed(tree_mesh(tree))

    def lamp(self) -> Mesh:
        return greyed(lamp_mesh())

    def parked(self, model: CarModel) -> Mesh:
        return greyed(parked_mesh(replace(model, paint=CAR)))

    def person(self, walker: Walker) -> tuple[Mesh, ...]:
        return tuple(coloured(mesh, PERSON) for mesh in figure_meshes(walker))

    def car(self, model: CarModel) -> tuple[Mesh, ...]:
        return tuple(greyed(mesh) for mesh in super().car(replace(model, paint=CAR)))


class _Blocks(_Humanoids):
    """Only the ground and the buildings keep their shapes."""

    def tree(self, tree: Tree) -> Mesh:
        return tree_balls(tree, POST, LEAF)

    def lamp(self) -> Mesh:
        return lamp_boxes(POST)

    def parked(self, model: CarModel) -> Mesh:
        return greyed(car_boxes(model, CAR))

    def person(self, walker: Walker) -> tuple[Mesh, ...]:
        return (pill(PERSON), *(NOTHING,) * (len(PARTS) - 1))

    def car(self, model: CarModel) -> tuple[Mesh, ...]:
        return (self.parked(model), *(NOTHING,) * (CAR_PARTS - 1))


_SHAPES: dict[Level, _Mid] = {"blocks": _Blocks(), "humanoids": _Humanoids(), "mid": _Mid()}


def _still(plan: Plan, shapes: _Mid) -> Iterator[tuple[Point, Mesh]]:
    """Everything on the ground that never moves, and where it is."""
    yield (0.0, 0.0), shapes.skyline(plan)
    for building in plan.buildings:
        yield building.footprint.centre, shapes.building(building)
    for tree in plan.trees:
        yield tree.position, shapes.tree(tree).moved(*tree.position, KERB)
    lamp = shapes.lamp()
    for post in plan.lamps:
        yield post.position, lamp.moved(*post.position, KERB, post.heading)
    for car in plan.parked:
        yield car.position, shapes.parked(car.look).moved(*car.position, 0.0, car.heading)


def _moving(plan: Plan, shapes: _Mid) -> Iterable[Mesh]:
    """In the order of `World.parts`."""
    yield from (mesh for walker in plan.walkers for mesh in shapes.person(walker))
    yield from (mesh for car in plan.cars for mesh in shapes.car(car.look))
