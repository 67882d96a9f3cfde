"""The coarse levels as the game draws them."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")

from engine_bridge.cli import demo, play
from engine_bridge.sources import open_game
from street.city.plan import Plan
from street.city.take import LEVELS, Level, Take
from street.game.capture import FrameBuffers
from street.game.game import Game
from street.game.scene_renderer import SceneRenderer
from tests.street.small_takes import small_take

WIDTH, HEIGHT = 256, 144
JUMP = 0.1
"""A depth edge: where 1 / depth, which is straight along any flat face, bends by this share."""


@cache
def take(seed: int) -> Take:
    return small_take(seed=seed, frames=2, size=(WIDTH, HEIGHT))


def buffers(seed: int, level: Level, plan: Plan | None = None, pipe: str = "egl") -> FrameBuffers:
    """The last frame of a take, or of another plan from its camera; a skip without GL."""
    taken = take(seed)
    moving = slice(None) if plan is None else slice(0)
    try:
        renderer = SceneRenderer(plan or taken.header.plan, level, WIDTH, HEIGHT, pipe=pipe)
    except RuntimeError as reason:
        pytest.skip(str(reason))
    with renderer:
        return renderer.render(
            taken.viewpoint(1), taken.parts[1][moving], taken.shadows[1][moving]
        ).buffers


def edges(depth: NDArray[np.float32]) -> NDArray[np.bool_]:
    nearness = 1.0 / depth
    found = np.zeros(depth.shape, bool)
    for axis in (0, 1):
        rows, out = np.moveaxis(nearness, axis, 0), np.moveaxis(found, axis, 0)
        bend = np.abs(rows[:-2] - 2 * rows[1:-1] + rows[2:])
        out[1:-1] |= bend > JUMP * np.maximum(rows[1:-1], 1e-9)
    return found


def grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """What lies within a pixel of the mask."""
    wide = np.pad(mask, 1)
    height, width = mask.shape
    steps = [wide[i : i + height, j : j + width] for i in range(3) for j in range(3)]
    return np.any(steps, axis=0)


def agreement(one: FrameBuffers, other: FrameBuffers) -> float:
    """The lesser share of edge pixels of either that lie within a pixel of the other's."""
    assert one.depth is not None
    assert other.depth is not None
    a, b = edges(one.depth), edges(other.depth)
    assert a.mean() > 0.01
    return min(float(grown(b)[a].mean()), float(grown(a)[b].mean()))


@pytest.mark.parametrize("seed", range(5))
def test_outlines_of_humanoids_and_mid_agree(seed: int) -> None:
    assert agreement(buffers(seed, "humanoids"), buffers(seed, "mid")) > 0.97


@pytest.mark.parametrize("seed", range(3))
def test_outlines_of_buildings_and_ground_agree_in_blocks_too(seed: int) -> None:
    """In a city with one lamp post and nothing else on the street."""
    plan = take(seed).header.plan
    bare = replace(plan, trees=(), lamps=plan.lamps[:1], parked=(), cars=(), walkers=())
    frames = [buffers(seed, level, bare) for level in LEVELS]
    assert agreement(frames[0], frames[2]) > 0.97
    assert agreement(frames[0], frames[1]) > 0.99


def test_everything_that_moves_is_seen_at_every_level_where_it_is() -> None:
    """Blocks hide and show people and cars in the same places, to a pixel or two."""
    frames = {level: buffers(2, level) for level in LEVELS}
    people = 7 * len(take(2).header.plan.walkers)
    checked = 0
    for first, count in [(1 + k, 7) for k in range(0, people, 7)] + [
        (1 + people + k, 5) for k in range(0, 5 * len(take(2).header.plan.cars), 5)
    ]:
        masks = {}
        for level, frame in frames.items():
            assert frame.part is not None
            masks[level] = (frame.part >= first) & (frame.part < first + count)
        if masks["mid"].sum() < 40:
            continue
        assert np.array_equal(masks["mid"], masks["humanoids"])
        shared = (masks["mid"] & masks["blocks"]).sum()
        assert shared / (masks["mid"] | masks["blocks"]).sum() > 0.5
        checked += 1
    assert checked >= 2


@pytest.mark.parametrize("pipe", ["egl", "software"])
def test_greys_are_grey_on_every_renderer_and_levels_differ(pipe: str) -> None:
    frames = {level: buffers(1, level, pipe=pipe).rgb.astype(int) for level in LEVELS}
    for level in ("blocks", "humanoids"):
        assert np.ptp(frames[level], axis=-1).max() <= 1
        assert frames[level].std() > 20
    assert np.ptp(frames["mid"], axis=-1).mean() > 10
    assert np.abs(frames["blocks"] - frames["humanoids"]).mean() > 1


def test_renderers_agree_on_the_light_of_greys() -> None:
    for level in ("blocks", "humanoids"):
        pair = [buffers(0, level, pipe=pipe).rgb.astype(float) for pipe in ("egl", "software")]
        apart = np.abs(pair[0] - pair[1])
        assert np.median(apart) <= 1.0
        assert apart.mean() < 8.0, "only edges may differ"


def test_the_game_plays_the_same_at_every_level() -> None:
    """Only the frame depends on the level; mid is the default."""
    seen = {}
    for level in (*LEVELS, None):
        chosen: dict[str, Any] = {} if level is None else {"level": level}
        with Game(64, 48, seed=1, pipe="software", people=3, cars=1, **chosen) as game:
            played = [game.step() for _ in range(3)]
            seen[level] = played[-1].rgb, played[-1].camera.position, game.world.parts()
    for level in LEVELS:
        assert np.array_equal(seen[level][1], seen[None][1])
        assert np.array_equal(seen[level][2], seen[None][2])
        assert np.array_equal(seen[level][0], seen[None][0]) == (level == "mid")


def test_an_unknown_level_is_refused_and_leaves_nothing_open() -> None:
    with pytest.raises(ValueError, match="one of blocks, humanoids, mid"):
        open_game(32, 32, seed=0, fps=16.0, pipe="software", level="low")  # type: ignore[arg-type]


@pytest.mark.parametrize("command", [demo.main, play.main])
def test_commands_refuse_an_unknown_level(command: Any) -> None:
    with pytest.raises(ValueError, match="choose from blocks, humanoids, mid"):
        command(["--level", "low"])
