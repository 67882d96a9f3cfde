"""JuPedSim's walk in the studio interpreter: where people go, and what cars do about it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from street.city.layout import plan_city
from street.city.plan import KERB_STRIP, Plan, Rect, to_dict
from street.city.props import CAR_SIZES
from street.city.routes import start_position
from street.city.steering import closest_gap
from street.director.movement import Movement, simulate
from street.director.programs import ROOT, ProgramError, Programs, studio_python

FPS, FRAMES = 16.0, 240
BODY = 0.2
"""Metres: half the width of a trunk."""


def studio() -> Path:
    try:
        python = studio_python()
    except ValueError as error:
        pytest.skip(str(error))
    try:
        subprocess.run([str(python), "-c", "import jupedsim"], check=True, capture_output=True)
    except subprocess.CalledProcessError:
        pytest.skip(f"{python} has no JuPedSim; run `make studio`")
    return python


@pytest.fixture(scope="module")
def crowded() -> tuple[Plan, Movement]:
    """Fifteen seconds of a full city."""
    plan = plan_city(5, people=36, cars=10)
    return plan, simulate(plan, fps=FPS, frames=FRAMES, programs=Programs(studio()))


def on_foot(plan: Plan) -> NDArray[np.float64]:
    """Rectangles [R, 4] that people may be in: walked bands and crossings with their ends."""
    reach = KERB_STRIP + 0.6
    areas = list(plan.walkable)
    for crossing in plan.crossings:
        a, (gx, gy) = crossing.area, (reach, 0.0) if crossing.axis == 0 else (0.0, reach)
        areas.append(Rect(a.x0 - gx, a.y0 - gy, a.x1 + gx, a.y1 + gy))
    return np.array([(r.x0, r.y0, r.x1, r.y1) for r in areas])


def test_people_stay_on_pavements_and_crossings(crowded: tuple[Plan, Movement]):
    plan, movement = crowded
    areas, here = on_foot(plan), movement.position.reshape(-1, 1, 2)
    inside = (here > areas[:, :2] - 1e-6) & (here < areas[:, 2:] + 1e-6)
    assert np.any(inside.all(axis=2), axis=1).all()


def test_people_are_never_inside_one_another(crowded: tuple[Plan, Movement]):
    _, movement = crowded
    assert min(closest_gap(frame) for frame in movement.position) > 2 * BODY


def test_people_walk_at_their_own_speed_and_face_where_they_go(crowded: tuple[Plan, Movement]):
    plan, movement = crowded
    step = np.diff(movement.position, axis=0) * FPS
    speed = np.linalg.norm(step, axis=2)
    wanted = np.array([walker.speed for walker in plan.walkers])
    assert (speed < wanted + 0.05).all()
    assert (np.median(speed, axis=0) > 0.7 * wanted).all()
    facing = np.stack([np.cos(movement.heading[1:]), np.sin(movement.heading[1:])], axis=2)
    along = (facing * step).sum(axis=2)[speed > 0.5] / speed[speed > 0.5]
    assert np.median(along) > 0.98
    assert np.diff(movement.walked, axis=0).min() >= 0
    assert movement.swing.min() >= 0
    assert movement.swing.max() <= 1.4


def test_some_cross_the_road_and_step_down_from_the_kerb(crowded: tuple[Plan, Movement]):
    plan, movement = crowded
    blocks = np.array([(b.x0, b.y0, b.x1, b.y1) for b in plan.blocks])
    here = movement.position[:, :, None]
    on_block = ((here > blocks[:, :2]) & (here < blocks[:, 2:])).all(axis=-1).any(axis=-1)
    assert (~on_block).any(axis=0).sum() >= 1
    assert movement.ground[on_block].min() > 0.1
    assert movement.ground.min() == 0.0


def test_cars_drive_and_never_touch_people(crowded: tuple[Plan, Movement]):
    plan, movement = crowded
    assert (movement.rolled[-1] - movement.rolled[0]).max() > 20.0
    for car, look in enumerate(c.look for c in plan.cars):
        length, width, _ = CAR_SIZES[look.kind]
        to = movement.position - movement.car_position[:, car, None]
        c, s = (
            np.cos(movement.car_heading[:, car, None]),
            np.sin(movement.car_heading[:, car, None]),
        )
        ahead = np.abs(to[..., 0] * c + to[..., 1] * s)
        aside = np.abs(to[..., 1] * c - to[..., 0] * s)
        assert not ((ahead < length / 2 + BODY) & (aside < width / 2 + BODY)).any()


def test_the_same_plan_walks_the_same_to_the_bit(tmp_path: Path):
    python, plan = studio(), plan_city(8, people=20, cars=6)
    request = {"plan": to_dict(plan), "fps": FPS, "frames": 33, "warm_up": 1.0}
    asked = tmp_path / "request.json"
    asked.write_text(json.dumps(request))
    for name in ("a.npz", "b.npz"):
        Programs(python).walk(asked, tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_frame_zero_without_warming_up_is_the_plan(tmp_path: Path):
    plan = plan_city(8, people=6, cars=2)
    request = {"plan": to_dict(plan), "fps": FPS, "frames": 2, "warm_up": 0.0}
    (tmp_path / "request.json").write_text(json.dumps(request))
    Programs(studio()).walk(tmp_path / "request.json", tmp_path / "out.npz")
    starts = [start_position(w, plan.nodes, plan.walkways) for w in plan.walkers]
    with np.load(tmp_path / "out.npz") as tracks:
        np.testing.assert_array_equal(tracks["position"][0], starts)


@pytest.mark.parametrize("text", ["{", "{}", '{"plan": {"seed": 3}}'])
def test_a_request_that_is_none_ends_in_one_line(tmp_path: Path, text: str):
    python = studio()
    (tmp_path / "request.json").write_text(text)
    with pytest.raises(ProgramError, match="cannot be walked"):
        Programs(python).walk(tmp_path / "request.json", tmp_path / "out.npz")
    assert not (tmp_path / "out.npz").exists()


def test_the_studio_needs_none_of_our_packages():
    """Walking imports no more than numpy, pydantic, JuPedSim and what it brings along."""
    code = (
        "import sys, street.studio.walk; "
        "print(sorted(m for m in ('torch', 'av', 'rich', 'yaml', 'PIL.Image') if m in sys.modules))"
    )
    ran = subprocess.run(
        [str(studio()), "-c", code],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.strip() == "[]"
