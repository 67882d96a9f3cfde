"""The conventions' table through the sample game's own camera, renderer and clock."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")
from panda3d.core import NodePath

from c2r.wire import ResetReason
from c2r.wire.enum_map import number_of
from street.city.motion_vectors import motion_field
from street.city.shapes import box
from street.city.viewpoint import Viewpoint
from street.game.capture import Capture
from street.game.display import Display, open_display
from street.game.frame import camera_of
from street.game.game import Game
from street.game.scene import geom_node
from tests.conformance.table import FILE

TABLE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
WIDTH, HEIGHT = TABLE["static_points"]["width"], TABLE["static_points"]["height"]


@pytest.fixture(params=["egl", "software"])
def display(request: pytest.FixtureRequest) -> Iterator[Display]:
    try:
        opened = open_display(request.param, WIDTH, HEIGHT, smooth=False)
    except RuntimeError as reason:
        if request.param == "software":
            raise
        pytest.skip(str(reason))
    yield opened
    opened.close()


def viewpoint(which: str) -> Viewpoint:
    camera = TABLE["camera"]
    given = camera["game"][which]
    return Viewpoint(
        position=np.array(given["position"]),
        right=np.array(given["right"]),
        up=np.array(given["up"]),
        forward=np.array(given["forward"]),
        fov_y=given["fov_y"],
        aspect=camera["aspect"],
        near=camera["near_plane"],
        far=camera["far_plane"],
    )


def level() -> Viewpoint:
    """At the origin, looking along the world's y."""
    axes = np.eye(3)
    return replace(
        viewpoint("now"), position=np.zeros(3), right=axes[0], up=axes[2], forward=axes[1]
    )


def test_the_games_camera_is_the_tables() -> None:
    camera = camera_of(viewpoint("now"), viewpoint("before"))
    for name, expected in TABLE["camera"]["game"]["wire"].items():
        value = np.ravel(getattr(camera, name))
        assert value == pytest.approx(np.ravel(expected), abs=TABLE["tolerance"]["matrix"])


def test_row_0_is_the_top_and_colours_are_srgb_as_drawn(display: Display) -> None:
    grey = TABLE["colour"]["srgb8"][7]
    root = NodePath("root")
    shade = (grey / 255, 0.0, 0.0)
    root.attach_new_node(geom_node(box((-50, 9, 0.001), (50, 10, 50), shade), "upper"))
    root.set_shader_input("part", 0.0)
    rgb = Capture(display, root).render(level()).rgb
    assert (rgb[: HEIGHT // 2 - 1, :, 0] == grey).all()
    assert (rgb[HEIGHT // 2 + 1 :] == 0).all()


def test_depth_is_the_tables_metres_and_infinity_without_surface(display: Display) -> None:
    if display.geometry is None:
        pytest.skip(f"{display.name} gives no depth")
    root = NodePath("root")
    root.set_shader_input("part", 0.0)
    capture = Capture(display, root)
    for metres in TABLE["depth"][0]["metres"][2:]:
        shape = box((-500, metres, -500), (0.0, metres + 1, 500), (1.0, 0.0, 0.0))
        wall = root.attach_new_node(geom_node(shape, "wall"))
        depth = capture.render(level()).depth
        wall.remove_node()
        assert depth is not None
        visible = depth[:, : WIDTH // 2 - 1]
        assert visible == pytest.approx(np.full_like(visible, metres), rel=1e-3)
        assert np.isinf(depth[:, -1]).all()


def test_motion_of_still_things_is_the_tables() -> None:
    depth = np.full((HEIGHT, WIDTH), np.inf, np.float32)
    points = TABLE["static_points"]["points"]
    for point in points:
        depth[point["row"], point["column"]] = point["metres"]
    none = np.zeros((0, 4, 4))
    still = np.zeros((HEIGHT, WIDTH), np.int32)
    views = viewpoint("now"), viewpoint("before")
    motion = motion_field(depth, still, views, (none, none))
    for point in points:
        moved = motion[point["row"], point["column"]]
        expected = np.array(point["pixels"])
        assert moved == pytest.approx(expected, abs=TABLE["tolerance"]["pixels"])


def test_resets_of_the_game() -> None:
    events, numbers = TABLE["reset"]["events"], TABLE["reset"]["numbers"]
    with Game(64, 48, seed=1, fps=12, pipe="software", people=2, cars=1) as game:
        first, second = game.step(), game.step()
        game.respawn()
        third = game.step()
    assert first.reset_reason == events["first_frame"]
    assert second.reset_reason is None
    assert third.reset_reason == events["camera_moved_far"]
    assert number_of(ResetReason(str(third.reset_reason))) == numbers["teleport"]
    for frame in (first, third):
        after = TABLE["reset"]["clip_to_prev_clip_after"]
        assert np.ravel(frame.camera.clip_to_prev_clip) == pytest.approx(after)
