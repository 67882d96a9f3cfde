"""The keyboard's meaning, and the window where there is a display to open one on."""

from __future__ import annotations

import os

import numpy as np
import pytest

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")

from street.city.follow_camera import FollowCamera
from street.city.layout import plan_city
from street.city.plan import KERB, Rect
from street.game.game import Game
from street.game.window import RUN, WALK, Action, camera_turn, walk_command


@pytest.mark.parametrize(
    ("held", "yaw", "velocity"),
    [
        (set(), 0.3, (0.0, 0.0)),
        ({"ahead"}, 0.0, (WALK, 0.0)),
        ({"ahead"}, np.pi / 2, (0.0, WALK)),
        ({"left"}, 0.0, (0.0, WALK)),
        ({"back", "run"}, 0.0, (-RUN, 0.0)),
        ({"ahead", "back"}, 0.0, (0.0, 0.0)),
        ({"ahead", "right"}, 0.0, (WALK / 2**0.5, -WALK / 2**0.5)),
    ],
)
def test_keys_walk_as_seen_from_the_camera(
    held: set[Action], yaw: float, velocity: tuple[float, float]
) -> None:
    assert walk_command(held, yaw).velocity == pytest.approx(velocity, abs=1e-9)


def test_the_camera_keys_turn_opposite_ways() -> None:
    assert camera_turn({"turn left"}, 0.5) > 0
    assert camera_turn({"turn left"}, 0.5) == -camera_turn({"turn right"}, 0.5)
    assert camera_turn({"turn left", "turn right"}, 0.5) == 0


def test_the_camera_never_stands_in_a_building() -> None:
    """However the character is walked and turned along the walls."""
    plan = plan_city(0)
    checked = 0
    for building in plan.buildings[::5]:
        plot = building.footprint.inset(-0.45)
        for x, y in ((plot.x0, plot.y0), (plot.centre[0], plot.y1), (plot.x1, plot.centre[1])):
            feet = np.array([x, y, KERB])
            if any(_holds(b.footprint.inset(-0.4), x, y) for b in plan.buildings):
                continue
            for yaw in np.linspace(0, 2 * np.pi, 16):
                eye = FollowCamera(plan, 1.6, feet, float(yaw)).viewpoint().position
                inside = [b for b in plan.buildings if _holds(b.footprint, eye[0], eye[1])]
                assert not inside
                checked += 1
    assert checked > 200


def _holds(rect: Rect, x: float, y: float) -> bool:
    return rect.x0 < x < rect.x1 and rect.y0 < y < rect.y1


def test_a_window_shows_frames_and_leaves_the_character_to_the_player() -> None:
    if not os.environ.get("DISPLAY"):
        pytest.skip("no DISPLAY to open a window on; run under xvfb-run")
    with Game(128, 96, seed=0, pipe="window", fps=20) as game:
        frames = [game.step() for _ in range(3)]
        assert frames[2].depth is not None
        assert frames[2].motion is not None
        game.show(np.full((48, 64, 3), 200, np.uint8))
        start = game.world.crowd.position[0].copy()
        for _ in range(30):
            game.step()
        assert np.linalg.norm(game.world.crowd.position[0] - start) < 0.5, "no key is held"
        assert game.running
    assert not game.running
