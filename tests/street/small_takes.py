"""Takes for tests: the game's own camera following walker 0, directed in a moment."""

from __future__ import annotations

from typing import Literal

import numpy as np

from street.city.follow_camera import FollowCamera
from street.city.layout import plan_city
from street.city.take import Atmosphere, Level, Take, TakeHeader
from street.city.world import World

TICK = 1 / 48


def small_take(
    *,
    seed: int = 0,
    frames: int = 5,
    level: Level = "mid",
    size: tuple[int, int] = (128, 72),
    fps: float = 16.0,
    camera: Literal["follow", "pan"] = "follow",
) -> Take:
    """`frames` at `fps` after a second of walking; `pan` turns quickly besides following."""
    plan = plan_city(seed, people=8, cars=3)
    world = World(plan)
    for _ in range(48):
        world.step(TICK)
    follow = FollowCamera(plan, size[0] / size[1], *world.character)
    views, parts, shadows = [], [], []
    for _ in range(frames):
        views.append(follow.viewpoint())
        parts.append(world.parts())
        shadows.append(world.shadows())
        for _ in range(round(1 / fps / TICK)):
            world.step(TICK)
            turn = 0.01 if camera == "pan" else 0.0
            follow.step(TICK, *world.character, turn)
    view = views[0]
    header = TakeHeader(
        id=f"small-{seed}",
        seed=seed,
        level=level,
        atmosphere=Atmosphere("noon", "clear"),
        caption="a city street at noon",
        camera=camera,
        width=size[0],
        height=size[1],
        fps=fps,
        fov_y=view.fov_y,
        near=view.near,
        far=view.far,
        plan=plan,
    )
    return Take(
        header,
        np.array(parts),
        np.array(shadows),
        np.array([view.position for view in views]),
        np.array([view.axes for view in views]),
    )
