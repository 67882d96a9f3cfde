"""The conventions' table through the Unreal plugin's conversion, built by g++ and run."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.table import FILE
from tests.unreal.plugin import SOURCE, build_program, gxx, run_program

TABLE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
TOLERANCE = TABLE["tolerance"]
PROGRAM = Path(__file__).with_name("unreal_conversion.cpp")
EVENTS = {
    "none": 0,
    "asked": 1,
    "camera_moved_far": 2,
    "camera_cut": 3,
    "play_resumed": 4,
    "size_changed": 5,
    "level_loaded": 6,
    "first_frame": 7,
}
"""Numbers of C2R::EEvent."""

Ask = Callable[..., np.ndarray]


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Ask:
    """Asks the program one question; the numbers that it answers."""
    if gxx() is None:
        pytest.skip("g++ is missing: the Unreal plugin's conversion was not run")
    folder = tmp_path_factory.mktemp("conversion")
    program = build_program(PROGRAM, folder, [SOURCE / "C2RRuntime" / "Public"])

    def answer(question: str, *numbers: Any) -> np.ndarray:
        line = " ".join([question, *(repr(float(number)) for number in numbers)])
        return np.array(run_program(program, line + "\n").split(), float)

    return answer


def view(which: str) -> list[float]:
    given = TABLE["camera"]["unreal"][which]
    return [*given["world_to_view"], *given["view_to_clip"], *given["location"]]


def test_origin(ask: Ask) -> None:
    origin = TABLE["origin"]
    answer = ask("origin", origin["width"], origin["height"], *origin["bottom_first_rgba8"])
    assert answer.tolist() == origin["top_first_rgba8"]


def test_colour(ask: Ask) -> None:
    colour = TABLE["colour"]
    assert ask("colour", *colour["linear"]).tolist() == colour["srgb8"]


@pytest.mark.parametrize("case", TABLE["depth"], ids=lambda case: case["name"])
def test_depth(case: dict[str, Any], ask: Ask) -> None:
    names = ("near_plane", "far_plane", "view_space_to_meters", "depth_inverted", "depth_infinite")
    how = [float(case[name]) for name in names]
    answer = ask("depth", *how, *case["stored"], case["stored_without_surface"])
    assert answer[:-1] == pytest.approx(np.array(case["metres"]), rel=TOLERANCE["relative"])
    assert np.isposinf(answer[-1])


def test_motion(ask: Ask) -> None:
    motion = TABLE["motion"]
    for point in motion["points"]:
        answer = ask("motion", motion["width"], motion["height"], *point["unreal_ndc"])
        assert answer == pytest.approx(np.array(point["pixels"]), abs=TOLERANCE["pixels"])


def test_camera(ask: Ask) -> None:
    wire = TABLE["camera"]["unreal"]["wire"]
    names = ("position", "right", "up", "forward")
    expected = [*chain(*(wire[name] for name in names)), wire["fov_y"]]
    expected += wire["view_to_clip"] + wire["clip_to_prev_clip"]
    answer = ask("camera", *view("now"), *view("before"))
    assert answer == pytest.approx(np.array(expected), abs=TOLERANCE["matrix"])


def test_static_points(ask: Ask) -> None:
    points = TABLE["static_points"]
    views = [*view("now"), *view("before"), points["width"], points["height"]]
    for point in points["points"]:
        answer = ask("static", *views, point["column"], point["row"], point["stored_unreal"])
        assert answer[:2] == pytest.approx(np.array(point["pixels"]), abs=TOLERANCE["pixels"])
        assert answer[2] == pytest.approx(point["metres"], rel=TOLERANCE["relative"])


def test_reset(ask: Ask) -> None:
    reset = TABLE["reset"]
    assert reset["events"].keys() == EVENTS.keys()
    for event, reason in reset["events"].items():
        assert ask("reset", EVENTS[event]).tolist() == [reset["numbers"][reason]], event
    answer = ask("camera", *view("now"))
    assert answer[-16:].tolist() == reset["clip_to_prev_clip_after"]
