"""Scenes: balanced settings, captions that say them, cameras that see the street."""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import chain

import numpy as np
import pytest

from street.city.layout import plan_city
from street.city.plan import Plan
from street.city.routes import walking_routes
from street.city.take import Atmosphere
from street.city.viewpoint import look_at
from street.city.world import World
from street.director.cameras import Kind, camera_path
from street.director.captions import Style, captions, style_of
from street.director.movement import Movement, parts
from street.director.scenes import HOURS, WEATHERS, setting
from street.director.visibility import Visibility
from trainer.data.synthesize.scene_list import SetConfig, check_config, scene_list, scene_seeds

FRAMES, FPS, ASPECT = 17, 16.0, 16 / 9


@cache
def simulated(seed: int) -> tuple[Plan, Movement, World]:
    """People and cars as the sample game moves them: the studio is not needed to place a camera."""
    plan = plan_city(seed, people=12, cars=5)
    world, rows = World(plan), []
    for frame in range(FRAMES + 8):
        if frame >= 8:
            crowd, traffic = world.crowd, world.traffic
            people = (crowd.position, crowd.heading, crowd.walked, crowd.swing)
            cars = (traffic.position, traffic.heading, traffic.rolled)
            rows.append(tuple(np.array(a) for a in (*people, *cars, crowd.ground())))
        if frame < FRAMES + 7:
            for _ in range(4):
                world.step(1 / FPS / 4)
    return plan, Movement(*(np.stack(track) for track in zip(*rows, strict=True))), world


def test_any_dozen_of_scenes_shows_a_dozen_of_hours_and_weathers():
    for first in range(60):
        atmospheres = {setting(index).atmosphere for index in range(first, first + 12)}
        assert len(atmospheres) == 12
    assert len({setting(index).atmosphere for index in range(20)}) == len(HOURS) * len(WEATHERS)


def test_levels_and_cameras_have_their_shares_and_are_independent():
    hundred = [setting(index) for index in range(100)]
    assert Counter(s.level for s in hundred) == {"mid": 60, "humanoids": 20, "blocks": 20}
    kinds = Counter(s.camera for s in hundred)
    assert kinds == {"follow": 40, "dolly": 20, "pan": 20, "orbit": 20}
    for weather in WEATHERS:
        mine = [s for s in hundred if s.atmosphere.weather == weather]
        assert Counter(s.level for s in mine) == {"mid": 12, "humanoids": 4, "blocks": 4}
        assert Counter(s.camera for s in mine)["follow"] == 8


@pytest.mark.parametrize("crowd", ["sparse", "normal", "dense"])
def test_captions_name_hour_and_weather_and_vary(crowd: str):
    rng = np.random.default_rng(1)
    words = {"clear": "clear", "overcast": "overcast", "rain": "rain", "snow": "snow", "fog": "fog"}
    for hour in HOURS:
        for weather in WEATHERS:
            air, style = Atmosphere(hour, weather), Style("brick", tall=True)
            drawn = [captions(rng, air, style, crowd, cars=True) for _ in range(20)]  # type: ignore[arg-type]
            made = [middle for middle, _, _ in drawn]
            for text in chain.from_iterable(drawn):
                assert f"at {hour}" in text
                assert words[weather] in text
                assert len(text.encode()) <= 256
            assert all(len(short) < len(middle) < len(long) for middle, short, long in drawn)
            assert all(f"at {hour}" in text for text in made)
            assert all(words[weather] in text and "brick" in text for text in made)
            assert all("people" in text and len(text) < 240 for text in made)
            assert len(set(made)) > 12


def test_equal_seeds_give_equal_captions():
    air, style = Atmosphere("noon", "rain"), Style("glass", tall=False)
    made = [
        captions(np.random.default_rng(seed), air, style, "normal", cars=False)
        for seed in (5, 5, 6, 7, 8)
    ]
    assert made[0] == made[1]
    assert len(set(made)) > 2


def test_style_follows_the_houses_around():
    plan = plan_city(3)
    assert str(style_of(plan, (0.0, 0.0))) == str(style_of(plan, (0.0, 0.0)))
    styles = {str(style_of(plan_city(seed), (0.0, -20.0))) for seed in range(20)}
    assert len(styles) >= 4


@pytest.mark.parametrize("kind", ["dolly", "pan", "orbit", "follow"])
@pytest.mark.parametrize("seed", [2, 11])
def test_camera_paths_are_smooth_free_and_see_the_street(kind: Kind, seed: int):
    plan, movement, _ = simulated(seed)
    rng = np.random.default_rng(seed)
    path = camera_path(kind, plan, movement, rng, fps=FPS, aspect=ASPECT)
    assert path.eye.shape == (FRAMES, 3)
    assert path.axes.shape == (FRAMES, 3, 3)
    assert np.abs(path.axes @ path.axes.transpose(0, 2, 1) - np.eye(3)).max() < 1e-9
    assert path.eye[:, 2].min() > 1.4
    assert path.eye[:, 2].max() < 6.1
    assert np.linalg.norm(np.diff(path.eye, axis=0), axis=1).max() < 0.35  # metres a frame
    assert np.abs(np.diff(path.eye, 2, axis=0)).max() < 0.15
    turned = np.degrees(np.arccos((path.axes[1:, 2] * path.axes[:-1, 2]).sum(axis=1).clip(-1, 1)))
    assert turned.max() < 6.0
    for building in plan.buildings:
        r = building.footprint
        x, y = path.eye[:, 0], path.eye[:, 1]
        assert not ((x > r.x0) & (x < r.x1) & (y > r.y0) & (y < r.y1)).any()
    if kind == "follow":
        return
    visibility = Visibility(plan)
    assert visibility.clear_of_obstacles(path.eye).all()
    for frame in (0, FRAMES // 2, FRAMES - 1):
        eye = path.eye[frame]
        camera = look_at(eye, eye + path.axes[frame, 2], fov_y=path.fov_y, aspect=ASPECT)
        content = visibility.frame_content(camera)
        assert content.road > 0.05
        assert content.facade > 0.05
        assert visibility.people_in_view(camera, movement.position[frame]) >= 1


def test_equal_seeds_give_equal_paths():
    plan, movement, _ = simulated(2)
    made = [
        camera_path("orbit", plan, movement, np.random.default_rng(s), fps=FPS, aspect=ASPECT).eye
        for s in (1, 1, 2)
    ]
    np.testing.assert_array_equal(made[0], made[1])
    assert np.abs(made[0] - made[2]).max() > 0.1


def test_a_camera_is_not_inside_things():
    plan = plan_city(0)
    visibility = Visibility(plan)
    inside = [
        (*plan.buildings[0].footprint.centre, 3.0),
        (*plan.trees[0].position, 2.0),
        (*plan.trees[0].position, plan.trees[0].trunk + plan.trees[0].crown),
        (*plan.lamps[0].position, 3.0),
        (*plan.parked[0].position, 1.6),
        (plan.bounds.x1 + 5, 0.0, 3.0),
    ]
    assert not visibility.clear_of_obstacles(np.array(inside)).any()
    block = plan.blocks[4]
    road = np.array([[(plan.blocks[3].x1 + block.x0) / 2, 0.0, 3.0]])
    assert visibility.clear_of_obstacles(road).all()


def test_a_wall_hides_people_and_fills_the_frame():
    plan = plan_city(0)
    visibility, wall = Visibility(plan), plan.buildings[0].footprint
    x = wall.centre[0]
    near, far = np.array([x, wall.y0 - 3.0, 1.7]), np.array([[x, wall.y1 + 3.0]])
    camera = look_at(near, near + np.array([0.0, 1.0, 0.0]), fov_y=0.9, aspect=ASPECT)
    assert visibility.people_in_view(camera, far) == 0
    assert visibility.frame_content(camera).nearest < 3.5
    away = look_at(near, near - np.array([0.0, 1.0, 0.0]), fov_y=0.9, aspect=ASPECT)
    assert visibility.people_in_view(away, far) == 0
    assert visibility.people_in_view(camera, np.array([[x, wall.y0 - 0.2]])) == 1


def test_parts_and_shadows_are_those_of_the_world():
    plan, movement, world = simulated(2)
    made, shadows = parts(plan, movement)
    assert made.shape == (FRAMES, world.part_count, 4, 4)
    np.testing.assert_allclose(made[-1], world.parts(), atol=1e-9)
    np.testing.assert_allclose(shadows[-1], world.shadows(), atol=1e-9)


def test_routes_start_on_the_walkers_edge_and_are_long_enough():
    plan = plan_city(4, people=20)
    made = walking_routes(plan, 150.0)
    assert made == walking_routes(plan, 150.0)
    for walker, legs in zip(plan.walkers, made, strict=True):
        end = np.array(plan.nodes[walker.to])
        assert np.hypot(*(np.array(legs[0].via[-1]) - end)) < 1.5
        points = np.array([point for leg in legs for point in leg.via])
        walked = np.hypot(*np.diff(points, axis=0).T).sum()
        assert walked > 90.0
    assert any(leg.crossing >= 0 for legs in made for leg in legs)


def test_splits_never_share_a_seed_and_lists_grow_at_their_end():
    specs = scene_list(SetConfig(scenes=300, held_out=100, pairs=40))
    seeds = {split: {s.seed for s in specs if s.split == split} for split in ("train", "held_out")}
    assert len(seeds["train"]) == 300
    assert len(seeds["held_out"]) == 100
    assert not seeds["train"] & seeds["held_out"]
    assert not set(scene_seeds(0, "train", 500)) & set(scene_seeds(9, "held_out", 500))
    assert scene_seeds(3, "train", 50)[:20] == scene_seeds(3, "train", 20)
    assert scene_seeds(3, "train", 20) != scene_seeds(4, "train", 20)
    assert sum(s.paired for s in specs if s.split == "train") == 40
    assert all(s.paired for s in specs if s.split == "held_out")
    assert len({s.id for s in specs}) == len(specs)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (SetConfig(scenes=0), "at least one scene"),
        (SetConfig(frames=16), "try 17"),
        (SetConfig(frames=0), "try 1"),
        (SetConfig(pairs=5), "0 to all"),
        (SetConfig(width=255), "even sides"),
        (SetConfig(seed=-1), "0 or more"),
        (SetConfig(fps=float("nan")), "positive number"),
        (SetConfig(samples=0), "1 or more"),
    ],
)
def test_impossible_sets_are_refused(config: SetConfig, reason: str):
    with pytest.raises(ValueError, match=reason):
        check_config(config)
