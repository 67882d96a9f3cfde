"""What each level draws of a plan."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from street.city.figure import PARTS, TALL
from street.city.layout import plan_city
from street.city.levels import LevelMeshes, level_meshes
from street.city.mesh import Mesh, join
from street.city.plan import Plan
from street.city.poses import CAR_PARTS
from street.city.props import CAR_SIZES
from street.city.take import LEVELS, Level
from street.city.world import World

GREY: tuple[Level, ...] = ("blocks", "humanoids")


@cache
def plan() -> Plan:
    return plan_city(5, people=6, cars=3)


@cache
def drawn(level: Level) -> LevelMeshes:
    return level_meshes(plan(), level)


def meshes(level: Level) -> list[Mesh]:
    shown = drawn(level)
    return [*shown.ground, *(mesh for _, mesh in shown.still), *shown.moving]


def extent(mesh: Mesh) -> np.ndarray:
    return np.stack([mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)])


@pytest.mark.parametrize("level", LEVELS)
def test_moving_meshes_follow_the_parts_of_the_world(level: Level) -> None:
    shown = drawn(level)
    assert len(shown.moving) == len(World(plan()).parts())
    people = len(PARTS) * len(plan().walkers)
    for number, walker in enumerate(plan().walkers):
        body = shown.moving[len(PARTS) * number]
        assert len(body.faces) > 0, walker
    for number, car in enumerate(plan().cars):
        size = extent(shown.moving[people + CAR_PARTS * number])
        assert np.ptp(size[:, 0]) == pytest.approx(CAR_SIZES[car.look.kind][0], abs=0.1)
        assert size[1, 2] == pytest.approx(CAR_SIZES[car.look.kind][2], abs=0.01)


@pytest.mark.parametrize("level", LEVELS)
def test_meshes_are_whole(level: Level) -> None:
    for mesh in meshes(level):
        count = len(mesh.vertices)
        assert mesh.normals.shape == mesh.colours.shape == (count, 3)
        assert mesh.colours.dtype == mesh.vertices.dtype == np.float32
        if count:
            assert 0 <= mesh.faces.min() <= mesh.faces.max() < count
            assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-4)
            assert 0 <= mesh.colours.min() <= mesh.colours.max() <= 1


@pytest.mark.parametrize("level", GREY)
def test_greys_are_grey_and_mid_is_not(level: Level) -> None:
    for mesh in meshes(level):
        assert np.array_equal(mesh.colours, np.repeat(mesh.colours[:, :1], 3, axis=1))
    coloured = [np.ptp(mesh.colours, axis=1).max() for mesh in meshes("mid") if len(mesh.faces)]
    assert np.mean(np.array(coloured) > 0.05) > 0.5


@pytest.mark.parametrize("level", GREY)
def test_the_same_things_stand_in_the_same_places(level: Level) -> None:
    for (here, mesh), (there, other) in zip(drawn(level).still, drawn("mid").still, strict=True):
        assert here == there
        assert extent(mesh) == pytest.approx(extent(other), abs=0.75)
    for mesh, other in zip(drawn(level).ground, drawn("mid").ground[::2], strict=True):
        assert np.array_equal(mesh.vertices, other.vertices), "markings and joints are left out"


def test_buildings_are_one_shape_in_both_greys_and_as_high_and_wide_as_in_mid() -> None:
    count = 1 + len(plan().buildings)
    shown = zip(
        drawn("blocks").still[:count],
        drawn("humanoids").still[:count],
        drawn("mid").still[:count],
        strict=True,
    )
    for (_, block), (_, plain), (_, mid) in shown:
        assert np.array_equal(block.vertices, plain.vertices)
        assert extent(plain) == pytest.approx(extent(mid), abs=0.03)
        # Rounded: how a product of two numbers is rounded depends on the processor.
        assert len(np.unique(plain.colours.round(5))) <= 2, "walls and awnings, no windows"


def test_humanoids_move_in_the_shapes_of_mid() -> None:
    for mesh, other in zip(drawn("humanoids").moving, drawn("mid").moving, strict=True):
        assert np.array_equal(mesh.vertices, other.vertices)
        assert np.array_equal(mesh.faces, other.faces)


def test_people_are_one_light_grey_and_lighter_than_cars() -> None:
    people = len(PARTS) * len(plan().walkers)
    for level in GREY:
        figures = join(drawn(level).moving[:people])
        cars = join(drawn(level).moving[people:])
        assert len(np.unique(figures.colours)) == 1
        assert figures.colours.min() > np.median(cars.colours) + 0.3


def test_a_pill_is_as_high_as_a_person_and_stands_on_the_ground() -> None:
    pill, *rest = drawn("blocks").moving[: len(PARTS)]
    assert np.ptp(extent(pill)[:, 2]) == pytest.approx(TALL)
    assert all(len(mesh.faces) == len(mesh.vertices) == 0 for mesh in rest)
    world = World(plan())
    for _ in range(60):
        world.step(1 / 60)
    for number, matrix in enumerate(world.parts()[: len(PARTS) * len(plan().walkers) : len(PARTS)]):
        feet = (np.append(extent(pill)[0], 1.0) * [0, 0, 1, 1]) @ matrix
        assert feet[2] - world.crowd.ground()[number] == pytest.approx(0.0, abs=0.11)


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="one of blocks, humanoids, mid"):
        level_meshes(plan(), "fine")  # type: ignore[arg-type]
