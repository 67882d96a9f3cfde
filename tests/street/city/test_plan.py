"""The planned city: repeatable, serialisable, and with everything where it belongs."""

from __future__ import annotations

import json

import numpy as np
import pytest

from street.city.layout import plan_city
from street.city.plan import Plan, Rect, from_dict, to_dict


@pytest.fixture(params=[0, 1, 7])
def plan(request: pytest.FixtureRequest) -> Plan:
    return plan_city(request.param)


def _inside(inner: Rect, outer: Rect, slack: float = 1e-6) -> bool:
    return (
        inner.x0 >= outer.x0 - slack
        and inner.y0 >= outer.y0 - slack
        and inner.x1 <= outer.x1 + slack
        and inner.y1 <= outer.y1 + slack
    )


def _holds(rect: Rect, point: tuple[float, float]) -> bool:
    return rect.x0 <= point[0] <= rect.x1 and rect.y0 <= point[1] <= rect.y1


def test_a_seed_gives_one_plan_and_another_seed_another() -> None:
    assert plan_city(3) == plan_city(3)
    assert plan_city(3) != plan_city(4)


def test_plan_survives_json(plan: Plan) -> None:
    assert from_dict(json.loads(json.dumps(to_dict(plan)))) == plan


def test_a_broken_plan_is_refused_by_field(plan: Plan) -> None:
    data = to_dict(plan)
    del data["trees"]
    with pytest.raises(ValueError, match="trees"):
        from_dict(data)


def test_buildings_leave_the_pavement_free_and_do_not_overlap(plan: Plan) -> None:
    for building in plan.buildings:
        plot = building.footprint
        assert sum(_inside(plot, block.inset(4.2)) for block in plan.blocks) == 1
        assert building.height > 6
        assert building.street_sides
    for index, first in enumerate(plan.buildings):
        a = first.footprint.inset(1e-6)
        for second in plan.buildings[index + 1 :]:
            b = second.footprint
            assert a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0


def test_trees_and_lamps_stand_on_the_pavement_beside_the_walked_band(plan: Plan) -> None:
    assert len(plan.trees) > 20
    assert len(plan.lamps) > 10
    for place in [t.position for t in plan.trees] + [lamp.position for lamp in plan.lamps]:
        assert any(_holds(area, place) for area in plan.pavements)
        assert not any(_holds(area.inset(-0.3), place) for area in plan.walkable)


def test_parked_cars_stand_on_the_road_clear_of_crossings(plan: Plan) -> None:
    assert len(plan.parked) > 10
    for car in plan.parked:
        assert not any(_holds(block, car.position) for block in plan.blocks)
        assert not any(_holds(c.area.inset(-2.0), car.position) for c in plan.crossings)


def test_crossings_join_two_kerbs(plan: Plan) -> None:
    assert len(plan.crossings) == 16
    for crossing in plan.crossings:
        width = crossing.area.size[crossing.axis]
        assert width == pytest.approx(10.8)
        assert not any(_holds(block.inset(0.01), crossing.area.centre) for block in plan.blocks)


def test_the_pavement_graph_is_connected_and_its_walkways_are_level_with_the_axes(
    plan: Plan,
) -> None:
    reached, frontier = {0}, [0]
    while frontier:
        node = frontier.pop()
        for way in plan.walkways:
            if node in (way.a, way.b):
                other = way.b if way.a == node else way.a
                if other not in reached:
                    reached.add(other)
                    frontier.append(other)
    assert len(reached) == len(plan.nodes) == 16
    for way in plan.walkways:
        gap = np.abs(np.subtract(plan.nodes[way.a], plan.nodes[way.b]))
        assert gap.min() == pytest.approx(0.0)
        assert gap.max() > 5


def test_lanes_stay_on_the_road(plan: Plan) -> None:
    for loop in plan.loops:
        for point in loop:
            assert not any(_holds(block.inset(-1.0), point) for block in plan.blocks)


@pytest.mark.parametrize(("people", "cars"), [(0, 3), (41, 3), (5, -1), (5, 13)])
def test_counts_out_of_range_are_refused(people: int, cars: int) -> None:
    with pytest.raises(ValueError, match="hold"):
        plan_city(0, people=people, cars=cars)


def test_counts_are_kept() -> None:
    plan = plan_city(0, people=3, cars=5)
    assert (len(plan.walkers), len(plan.cars)) == (3, 5)
