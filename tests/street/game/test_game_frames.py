"""Whole frames of the sample game: repeatable, upright, and consistent from one to the next."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")

from street.city.viewpoint import Viewpoint
from street.game.capture import FrameBuffers
from street.game.frame import GameFrame
from street.game.game import Game

WIDTH, HEIGHT = 192, 112
PIPES = ("egl", "software")


def started(pipe: str, seed: int = 0, size: int = 1, fps: float = 12, smooth: bool = True) -> Game:
    """A game, or a skip where this machine has no GL; software is everywhere."""
    try:
        return Game(WIDTH * size, HEIGHT * size, seed=seed, pipe=pipe, fps=fps, smooth=smooth)
    except RuntimeError as reason:
        if pipe == "software":
            raise
        pytest.skip(str(reason))


@cache
def frames(pipe: str, seed: int = 0, count: int = 6, run: int = 0) -> tuple[GameFrame, ...]:
    """`run` keeps apart plays that are otherwise the same."""
    with started(pipe, seed) as game:
        return tuple(game.step() for _ in range(count))


@pytest.mark.parametrize("pipe", PIPES)
def test_a_seed_gives_equal_frames_twice_and_another_seed_others(pipe: str) -> None:
    first, second, other = frames(pipe), frames(pipe, run=1), frames(pipe, seed=1)
    for a, b, c in zip(first, second, other, strict=True):
        assert np.array_equal(a.rgb, b.rgb)
        assert np.abs(a.rgb.astype(int) - c.rgb).mean() > 10
        assert np.array_equal(a.camera.position, b.camera.position)
        if a.depth is not None and a.motion is not None:
            assert b.depth is not None
            assert b.motion is not None
            assert np.array_equal(a.depth, b.depth)
            assert np.array_equal(a.motion, b.motion, equal_nan=True)


@pytest.mark.parametrize("pipe", PIPES)
def test_frames_are_counted_timed_and_well_formed(pipe: str) -> None:
    for index, frame in enumerate(frames(pipe)):
        assert frame.frame_id == index
        assert frame.time_us == round(index * 1e6 / 12)
        assert (frame.reset, frame.reset_reason) == (
            (True, "level_load") if index == 0 else (False, None)
        )
        assert frame.rgb.shape == (HEIGHT, WIDTH, 3)
        assert frame.rgb.dtype == np.uint8
        assert frame.rgb.flags.c_contiguous
    assert not np.array_equal(frames(pipe)[0].rgb, frames(pipe)[1].rgb)


@pytest.mark.parametrize("pipe", PIPES)
def test_row_0_is_the_sky_and_the_last_row_the_street(pipe: str) -> None:
    """The sky is the only thing that is much bluer than red and bright."""
    sky = np.zeros(HEIGHT)
    for seed in range(3):
        rgb = frames(pipe, seed, 6 if seed < 2 else 1)[0].rgb.astype(int)
        sky += ((rgb[..., 2] > 200) & (rgb[..., 2] - rgb[..., 0] > 15)).mean(axis=1)
    assert sky[: HEIGHT // 4].mean() > 0.1
    assert sky[HEIGHT // 2 :].max() < 0.1


def test_software_gives_colour_only() -> None:
    assert all(f.depth is None and f.motion is None for f in frames("software"))


def test_without_geometry_the_colour_is_the_same() -> None:
    wanted = frames("egl")[0]
    with Game(WIDTH, HEIGHT, seed=0, pipe="egl", fps=12, geometry=False) as game:
        frame = game.step()
    assert frame.depth is None
    assert frame.motion is None
    assert np.array_equal(frame.rgb, wanted.rgb)


def test_a_reset_frame_has_no_motion_and_no_last_camera() -> None:
    first = frames("egl")[0]
    assert first.motion is not None
    assert np.isnan(first.motion).all()
    assert np.array_equal(first.camera.clip_to_prev_clip, np.eye(4))


def unprojected(frame: GameFrame) -> NDArray[np.float64]:
    """World points [H, W, 3] of a frame's pixels, by inverting its matrices (inf for the sky)."""
    camera, depth = frame.camera, frame.depth
    assert depth is not None
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    ndc = np.stack([columns * 2 / WIDTH - 1, 1 - rows * 2 / HEIGHT], axis=-1)
    view = np.empty((HEIGHT, WIDTH, 3))
    view[..., 2] = depth
    view[..., 0] = ndc[..., 0] * depth / camera.view_to_clip[0, 0]
    view[..., 1] = ndc[..., 1] * depth / camera.view_to_clip[1, 1]
    axes = np.stack([camera.right, camera.up, camera.forward])
    with np.errstate(invalid="ignore"):
        return view @ axes + camera.position


def test_depth_puts_the_ground_where_it_is() -> None:
    """Most of the lower frame is road at 0 m or pavement at 0.12 m."""
    frame = frames("egl")[2]
    height = unprojected(frame)[HEIGHT * 2 // 3 :, :, 2]
    flat = (np.abs(height) < 0.01) | (np.abs(height - 0.12) < 0.01)
    assert flat.mean() > 0.4
    assert height.min() > -0.1


def test_motion_agrees_with_clip_to_prev_clip_on_what_stands_still() -> None:
    now = frames("egl")[3]
    assert now.motion is not None
    assert now.depth is not None
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    depth = np.where(np.isinf(now.depth), now.camera.far, now.depth)
    near, far = now.camera.near, now.camera.far
    clip = np.stack(
        [
            (columns * 2 / WIDTH - 1) * depth,
            (1 - rows * 2 / HEIGHT) * depth,
            (depth - near) * far / (far - near),
            depth,
        ],
        axis=-1,
    )
    then = clip @ now.camera.clip_to_prev_clip
    ndc = then[..., :2] / then[..., 3:]
    x, y = (1 + ndc[..., 0]) / 2 * WIDTH - columns, (1 - ndc[..., 1]) / 2 * HEIGHT - rows
    apart = np.hypot(now.motion[..., 0] - x, now.motion[..., 1] - y)
    assert np.median(apart) < 0.01
    assert (apart < 0.5).mean() > 0.6
    assert (apart > 0.5).any(), "people and cars move on their own"


def sampled(image: NDArray[np.float64], x: NDArray, y: NDArray) -> NDArray[np.float64]:
    """Bilinear values [..., C] of an image at pixel places, held at the border."""
    x, y = np.clip(x - 0.5, 0, WIDTH - 1.001), np.clip(y - 0.5, 0, HEIGHT - 1.001)
    i, j = np.floor(y).astype(int), np.floor(x).astype(int)
    u, v = np.expand_dims(x - j, -1), np.expand_dims(y - i, -1)
    upper = image[i, j] * (1 - u) + image[i, j + 1] * u
    lower = image[i + 1, j] * (1 - u) + image[i + 1, j + 1] * u
    return upper * (1 - v) + lower * v


@pytest.mark.parametrize("index", [2, 5])
def test_the_last_frame_warped_by_motion_is_this_one(index: int) -> None:
    """Where the last depth agrees, so that nothing uncovered counts: nearly equal colours, and a
    remaining shift (one least-squares step of Lucas and Kanade) far below half a pixel.
    """
    before, now = frames("egl")[index - 1 : index + 1]
    assert now.motion is not None
    assert before.depth is not None
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    x, y = columns + now.motion[..., 0], rows + now.motion[..., 1]
    old, new = before.rgb.astype(float), now.rgb.astype(float)
    warped = sampled(old, x, y)
    held = before.depth[..., None].astype(float).clip(max=1e3)
    expected = (unprojected(now) - before.camera.position) @ before.camera.forward
    agree = np.abs(sampled(held, x, y)[..., 0] / expected - 1) < 0.02
    agree &= (x > 2) & (x < WIDTH - 2) & (y > 2) & (y < HEIGHT - 2)
    assert agree.mean() > 0.5
    error = np.abs(warped - new)[agree].mean()
    for aside in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)):
        off = sampled(old, x + aside[0], y + aside[1])
        assert error < 0.7 * np.abs(off - new)[agree].mean()
    slopes = [np.asarray(np.gradient(warped, axis=axis))[agree].ravel() for axis in (1, 0)]
    lack = (new - warped)[agree].ravel()
    shift = np.linalg.lstsq(np.stack(slopes, axis=1), lack, rcond=None)[0]
    assert np.abs(shift).max() < 0.15


def test_motion_of_moving_parts_carries_their_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The middle of each part's pixels moves as its motion vectors say."""
    checked = 0
    with started("egl", size=2, fps=24, smooth=False) as game:
        parts = _parts_of(game, monkeypatch)
        played = [game.step() for _ in range(8)]
    for frame, before, now in zip(played[1:], parts[:-1], parts[1:], strict=True):
        assert frame.motion is not None
        for part in np.unique(now)[1:]:
            here, there = now == part, before == part
            if here.sum() < 150 or abs(int(here.sum()) - int(there.sum())) > 0.03 * here.sum():
                continue
            if _touches_border(here) or _touches_border(there):
                continue
            moved = np.argwhere(there).mean(axis=0) - np.argwhere(here).mean(axis=0)
            assert frame.motion[here].mean(axis=0)[::-1] == pytest.approx(moved, abs=0.6)
            checked += 1
    assert checked > 10


def _parts_of(game: Game, monkeypatch: pytest.MonkeyPatch) -> list[NDArray[np.int32]]:
    """A list that fills with the part numbers behind each frame."""
    seen: list[NDArray[np.int32]] = []
    render = game._renderer.capture.render

    def watched(view: Viewpoint) -> FrameBuffers:
        buffers = render(view)
        assert buffers.part is not None
        seen.append(buffers.part)
        return buffers

    monkeypatch.setattr(game._renderer.capture, "render", watched)
    return seen


def _touches_border(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[0].any() or mask[-1].any() or mask[:, 0].any() or mask[:, -1].any())


@pytest.mark.parametrize("pipe", PIPES)
def test_games_can_follow_one_another(pipe: str) -> None:
    wanted = frames(pipe)[0].rgb
    for _ in range(5):
        with started(pipe) as game:
            assert game.pipe == pipe
            assert np.array_equal(game.step().rgb, wanted)
        game.close()
        assert not game.running


@pytest.mark.parametrize("pipe", PIPES)
def test_respawning_is_a_reset_by_teleport(pipe: str) -> None:
    with started(pipe, fps=10) as game:
        start = game.step().camera.position
        for _ in range(30):
            game.step()
        game.respawn()
        frame = game.step()
        assert (frame.reset, frame.reset_reason) == (True, "teleport")
        assert np.linalg.norm(frame.camera.position - start) < 4
        assert np.array_equal(frame.camera.clip_to_prev_clip, np.eye(4))
        assert frame.motion is None or np.isnan(frame.motion).all()
        assert not game.step().reset


@pytest.mark.parametrize("fps", [16, 24, 29.97, 60, 144])
def test_a_step_is_exactly_one_frame_of_time(fps: float) -> None:
    with Game(32, 32, seed=0, pipe="software", fps=fps, people=1, cars=1) as game:
        game.step()
        before = game.world.traffic.rolled[0]
        speed = game.world.traffic.speed[0]
        frame = game.step()
        assert frame.time_us == round(1e6 / fps)
        assert game.world.traffic.rolled[0] - before == pytest.approx(speed / fps, rel=1e-6)


def test_auto_falls_back_to_software_and_egl_says_what_to_install() -> None:
    """In a process whose EGL finds no driver."""
    script = (
        "from street.game.game import Game\n"
        "try:\n    Game(16, 16, pipe='egl')\nexcept RuntimeError as reason:\n    print(reason)\n"
        "with Game(16, 16) as game:\n    print(game.pipe, game.step().rgb.shape)\n"
    )
    found = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ
        | {
            "__EGL_VENDOR_LIBRARY_FILENAMES": "/nowhere",
            "PYTHONPATH": str(Path(__file__).parents[3]),
        },
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "libegl1 libgl1-mesa-dri" in found
    assert "software (16, 16, 3)" in found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 0}, "positive size"),
        ({"height": -3}, "positive size"),
        ({"seed": -1}, "0 or more"),
        ({"fps": 0.0}, "positive number"),
        ({"fps": float("nan")}, "positive number"),
        ({"pipe": "metal"}, "'auto'"),
        ({"people": 0}, "hold"),
    ],
)
def test_arguments_out_of_range_are_refused(change: dict[str, object], message: str) -> None:
    arguments: dict[str, object] = {"width": 32, "height": 32, "pipe": "software", **change}
    with pytest.raises(ValueError, match=message):
        Game(**arguments)  # type: ignore[arg-type]


def test_a_closed_game_does_not_step_and_only_windows_show() -> None:
    game = Game(32, 32, pipe="software", people=1, cars=0)
    with pytest.raises(RuntimeError, match="pipe='window'"):
        game.show(np.zeros((4, 4, 3), np.uint8))
    game.close()
    with pytest.raises(RuntimeError, match="ended"):
        game.step()
