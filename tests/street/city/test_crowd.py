"""People and cars over a minute: on their paths, apart from one another, and repeatable."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from street.city.crowd import Command
from street.city.figure import SHIN
from street.city.layout import plan_city
from street.city.plan import Plan, Rect
from street.city.steering import (
    BODY_RADIUS,
    SEPARATION,
    as_array,
    closest_gap,
    held_inside,
    held_outside,
    pushed_apart,
)
from street.city.traffic import BRAKING, CRUISE
from street.city.world import World

TICK = 1 / 60
SEEDS = (0, 5)


@dataclass(frozen=True)
class Minute:
    """Everybody's places over 60 s, [ticks, people or cars, 2], and the cars' headings."""

    plan: Plan
    people: NDArray[np.float64]
    cars: NDArray[np.float64]
    headings: NDArray[np.float64]
    walked: NDArray[np.float64]
    rolled: NDArray[np.float64]


@cache
def minute(seed: int, people: int = 14) -> Minute:
    world = World(plan_city(seed, people=people))
    start = world.crowd.walked.copy()
    persons, cars, headings = [], [], []
    for _ in range(3600):
        world.step(TICK)
        persons.append(world.crowd.position.copy())
        cars.append(world.traffic.position.copy())
        headings.append(world.traffic.heading.copy())
    return Minute(
        world.plan,
        np.array(persons),
        np.array(cars),
        np.array(headings),
        world.crowd.walked - start,
        world.traffic.rolled,
    )


def _inside(points: NDArray[np.float64], areas: tuple[Rect, ...]) -> NDArray[np.bool_]:
    x, y = points[..., 0, None], points[..., 1, None]
    x0, y0, x1, y1 = np.array([(a.x0, a.y0, a.x1, a.y1) for a in areas]).T
    return ((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)).any(axis=-1)


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_leaves_pavements_and_crossings(seed: int) -> None:
    run = minute(seed)
    areas = run.plan.pavements + tuple(c.area for c in run.plan.crossings)
    assert _inside(run.people, areas).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_nobody_comes_closer_than_two_body_radii(seed: int) -> None:
    run = minute(seed)
    gap = np.linalg.norm(run.people[:, :, None] - run.people[:, None], axis=3)
    gap[:, np.arange(14), np.arange(14)] = np.inf
    assert gap.min() >= 2 * BODY_RADIUS


@pytest.mark.parametrize("seed", SEEDS)
def test_everybody_walks_at_a_human_pace(seed: int) -> None:
    run = minute(seed)
    assert run.walked.min() > 30
    speed = np.linalg.norm(np.diff(run.people, axis=0), axis=2) / TICK
    assert np.percentile(speed, 99.9) < 3.0


@pytest.mark.parametrize("seed", SEEDS)
def test_cars_keep_apart_and_hit_nobody(seed: int) -> None:
    run = minute(seed)
    pairs = np.linalg.norm(run.cars[:, :, None] - run.cars[:, None], axis=3)
    pairs[:, np.arange(6), np.arange(6)] = np.inf
    assert pairs.min() > 2.9, "the two lanes are 3.2 m apart; cars on one are further"
    ahead = np.stack([np.cos(run.headings), np.sin(run.headings)], axis=-1)[:, :, None]
    offset = run.people[:, None] - run.cars[:, :, None]
    along = np.abs((offset * ahead).sum(axis=-1))
    across = np.abs(offset[..., 0] * ahead[..., 1] - offset[..., 1] * ahead[..., 0])
    assert not ((along < 2.5) & (across < 1.0)).any()


@pytest.mark.parametrize("seed", SEEDS)
def test_cars_drive_on_and_off_the_pavement(seed: int) -> None:
    run = minute(seed)
    assert run.rolled.min() > 60
    assert run.rolled.max() <= CRUISE * 60 + 1e-6
    assert not _inside(run.cars, tuple(b.inset(-0.8) for b in run.plan.blocks)).any()


def test_equal_seeds_walk_equal_ways() -> None:
    run, again = minute(0), World(plan_city(0))
    for tick in range(1500):
        again.step(TICK)
        assert np.array_equal(again.crowd.position, run.people[tick])
    assert np.array_equal(again.traffic.position, run.cars[1499])


def test_a_dense_crowd_keeps_its_distance_too() -> None:
    world = World(plan_city(3, people=40, cars=0))
    closest = np.inf
    for _ in range(600):
        world.step(TICK)
        closest = min(closest, closest_gap(world.crowd.position))
    assert closest >= 2 * BODY_RADIUS


def test_a_pair_too_close_is_moved_apart_evenly() -> None:
    close = np.array([[0.0, 0.0], [0.3, 0.0], [5.0, 5.0]])
    apart = pushed_apart(close)
    assert closest_gap(apart) == pytest.approx(SEPARATION)
    assert apart.mean(axis=0) == pytest.approx(close.mean(axis=0))
    assert apart[2] == pytest.approx(close[2])


def test_people_are_held_in_what_is_allowed_to_each() -> None:
    rects = as_array((Rect(0, 0, 2, 2), Rect(2, 0, 4, 2)))
    place = np.array([[3.0, 1.0], [3.0, 1.0], [-1.0, 5.0]])
    allowed = np.array([[True, False], [True, True], [True, True]])
    held = held_inside(place, rects, allowed)
    assert held.tolist() == [[2.0, 1.0], [3.0, 1.0], [0.0, 2.0]]
    assert held_outside(np.array([[1.9, 1.0], [9.0, 9.0]]), rects[:1]).tolist() == [
        [2.0, 1.0],
        [9.0, 9.0],
    ]


def test_a_crossing_is_not_clear_while_a_car_could_not_stop_before_it() -> None:
    """A lone car at full speed: blocked from about its braking distance on, until it has passed."""
    world = World(plan_city(0, people=1, cars=1))
    cars, nobody = world.traffic, np.full((1, 2), 1e4)
    nothing = np.zeros(len(world.plan.crossings), bool)
    blocked: dict[int, list[float]] = {}
    for _ in range(3000):
        for index in np.flatnonzero(~cars.clear()):
            edge = world.plan.crossings[index].area
            near = np.clip(cars.position[0], (edge.x0, edge.y0), (edge.x1, edge.y1))
            gap = float(np.linalg.norm(cars.position[0] - near))
            blocked.setdefault(int(index), []).append(gap)
        cars.step(TICK, nothing, nobody)
    assert len(blocked) >= 8, "the loop meets two crossings at each of four junctions"
    braking = CRUISE**2 / (2 * BRAKING)
    for gaps in blocked.values():
        assert min(gaps) == 0.0
        assert 0.8 * braking < max(gaps) < braking + 8.0, "shorter across a corner"


def test_cars_stop_at_a_crossing_that_somebody_wants() -> None:
    world = World(plan_city(0, people=1, cars=2))
    wanted = np.ones(len(world.plan.crossings), bool)
    nobody = np.full((1, 2), 1e4)
    for _ in range(1200):
        world.traffic.step(TICK, wanted, nobody)
    assert world.traffic.speed.max() < 0.05
    assert world.traffic.clear().all(), "they stand before the stripes, not on them"
    for _ in range(300):
        world.traffic.step(TICK, ~wanted, nobody)
    assert world.traffic.speed.min() > 3


def test_a_person_in_the_lane_stops_the_car_behind() -> None:
    world = World(plan_city(0, people=1, cars=1))
    car = world.traffic
    start = car.position[0].copy()
    lane = np.array(world.plan.loops[0])
    nearest = int(np.linalg.norm(lane - start, axis=1).argmin())
    person = lane[(nearest + 50) % len(lane)][None]
    for _ in range(900):
        car.step(TICK, np.zeros(16, bool), person)
    assert car.speed[0] == pytest.approx(0.0, abs=0.05)
    assert 2.0 < np.linalg.norm(car.position[0] - person[0]) < 6.0


def test_a_command_walks_the_first_person_and_walls_stop_it() -> None:
    world = World(plan_city(0, people=2))
    start = world.crowd.position[0].copy()
    for _ in range(60):
        world.step(TICK, Command((0.0, 0.0)))
    assert np.linalg.norm(world.crowd.position[0] - start) < 0.2
    for velocity in ((4.0, 0.0), (0.0, 4.0), (-4.0, 0.0), (0.0, -4.0)):
        for _ in range(250):
            world.step(TICK, Command(velocity))
            place = world.crowd.position[None, :1]
            assert not _inside(place, tuple(b.footprint for b in world.plan.buildings)).any()
    assert world.crowd.walked[0] > 20


def test_nobody_walks_out_of_the_city() -> None:
    world = World(plan_city(0, people=1, cars=0))
    bounds = world.plan.bounds
    world.crowd.position[0] = (bounds.x1 - 3.0, world.plan.blocks[1].y1 + 5.0)
    for _ in range(120):
        world.step(TICK, Command((4.0, 0.0)))
    assert bounds.x1 - 1.5 < world.crowd.position[0, 0] < bounds.x1


def test_the_lower_foot_touches_the_ground() -> None:
    world = World(plan_city(1, people=6, cars=0))
    for _ in range(90):
        world.step(TICK)
    legs = world.parts().reshape(6, 7, 4, 4)[:, 3:5]
    ankles = np.array([0.0, 0.0, -SHIN, 1.0]) @ legs
    assert ankles[..., 2].min(axis=1) == pytest.approx(world.crowd.ground(), abs=1e-6)
