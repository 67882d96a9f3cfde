"""Camera paths through a street: dolly, follow, pan and orbit, smooth and never inside anything.

`follow` is the sample game's own camera. The others are drawn until one stands free and sees
street, houses and people. F frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from street.city.follow import FOV_Y, FollowCamera
from street.city.plan import PAVEMENT, STREET, Plan
from street.city.viewpoint import Viewpoint, look_at
from street.director.movement import Walked
from street.director.visibility import CAR_REACH, ROOF, Sight

Array = NDArray[np.float64]
Kind = Literal["dolly", "follow", "pan", "orbit"]

FOLLOW_TICKS = 4
TRIES = 400
LOOKS = 6
"""Frames of a path that are looked through before it is taken."""
COMPANY = 8
"""People in the city from which on two must always be in sight, and not one."""
PERSONAL = 1.5
"""Metres that a camera keeps from people."""


@dataclass(frozen=True, eq=False)
class Path:
    """`eye` [F, 3] metres, `axes` [F, 3, 3] rows right, up, forward; `fov_y` in radians."""

    eye: Array
    axes: Array
    fov_y: float


@dataclass(frozen=True, eq=False)
class Stage:
    """Where a path may be drawn: a point among people, the street's direction, and the way from
    the pavement to the road, each [2]; `seconds` the path lasts.
    """

    middle: Array
    along: Array
    out: Array
    seconds: float


def camera_path(
    kind: Kind, plan: Plan, walked: Walked, rng: np.random.Generator, *, fps: float, aspect: float
) -> Path:
    """A path of `kind` for the people and cars in `walked`."""
    if kind == "follow":
        return _follow(plan, walked, fps=fps, aspect=aspect)
    sight, stage = Sight(plan), _stage(plan, walked, fps)
    drawn = [_draw(kind, stage, rng, len(walked.position)) for _ in range(TRIES)]
    best, most = None, -np.inf
    for eye, aim, fov in drawn:
        if not _free(sight, eye, walked):
            continue
        views = _views(eye, aim, fov, aspect)
        score = _score(sight, views, walked)
        if score >= 1.0:
            return Path(eye, np.stack([v.axes for v in views]), fov)
        if score > most:
            best, most = Path(eye, np.stack([v.axes for v in views]), fov), score
    assert best is not None, f"no {kind} of {TRIES} stands free in city {plan.seed}"
    return best


def _follow(plan: Plan, walked: Walked, *, fps: float, aspect: float) -> Path:
    """The sample game's camera behind walker 0, advanced in ticks between the frames."""
    feet = np.column_stack([walked.position[:, 0], walked.ground[:, 0]])
    heading = walked.heading[:, 0]
    camera = FollowCamera(plan, aspect, feet[0], float(heading[0]))
    views = [camera.viewpoint()]
    for frame in range(1, len(feet)):
        for share in np.linspace(0, 1, FOLLOW_TICKS + 1)[1:]:
            here = feet[frame - 1] * (1 - share) + feet[frame] * share
            turned = heading[frame - 1] * (1 - share) + heading[frame] * share
            camera.step(1 / fps / FOLLOW_TICKS, here, float(turned))
        views.append(camera.viewpoint())
    eye, axes = np.stack([v.position for v in views]), np.stack([v.axes for v in views])
    return Path(eye, axes, FOV_Y)


def _stage(plan: Plan, walked: Walked, fps: float) -> Stage:
    """Around walker 0, who never walks alone; the road lies away from the middle of its block."""
    frames = len(walked.position)
    middle = walked.position[frames // 2, 0]
    centres = np.array([b.centre for b in plan.blocks])
    halves = np.array([b.size for b in plan.blocks]) / 2
    past = np.abs(middle - centres) - halves
    block = int(past.max(axis=1).argmin())
    axis = int(past[block].argmax())
    out = np.zeros(2)
    out[axis] = np.sign(middle[axis] - centres[block, axis])
    return Stage(middle, np.array([out[1], -out[0]]), out, frames / fps)


def _draw(
    kind: Kind, stage: Stage, rng: np.random.Generator, frames: int
) -> tuple[Array, Array, float]:
    """One try: eyes [F, 3], unit directions [F, 3], and a field of view."""
    share = np.linspace(-0.5, 0.5, frames)
    path = {"dolly": _dolly, "pan": _pan, "orbit": _orbit}[kind]
    eye, aim = path(stage, rng, share)
    return eye, aim, float(np.radians(rng.uniform(44.0, 58.0)))


def _dolly(stage: Stage, rng: np.random.Generator, share: Array) -> tuple[Array, Array]:
    """Along the street at a walk or a slow ride, looking down it and a little to the houses."""
    way = stage.along * rng.choice([-1.0, 1.0])
    travel = float(rng.uniform(0.7, 2.4)) * stage.seconds * float(rng.choice([1.0, 1.0, -1.0]))
    aside = float(rng.uniform(-1.0, PAVEMENT / 2 + STREET * 0.8))
    start = stage.middle + aside * stage.out - float(rng.uniform(4.0, 13.0)) * way
    eye = np.column_stack([start + share[:, None] * travel * way, np.zeros(len(share))])
    eye[:, 2] = rng.uniform(1.6, 4.2)
    look = way - stage.out * np.tan(np.radians(rng.uniform(-12.0, 32.0)))
    return eye, _aimed(np.tile(look, (len(share), 1)), rng.uniform(-13.0, -2.0))


def _pan(stage: Stage, rng: np.random.Generator, share: Array) -> tuple[Array, Array]:
    """From one place, over the street to the people, turning to one side."""
    along, across = float(rng.uniform(-12.0, 12.0)), float(rng.uniform(2.5, STREET + PAVEMENT))
    place = stage.middle + along * stage.along + across * stage.out
    eye = np.tile(np.append(place, rng.uniform(1.7, 6.0)), (len(share), 1))
    to = stage.middle - place
    sweep = np.radians(rng.uniform(7.0, 18.0)) * stage.seconds * rng.choice([-1.0, 1.0])
    turn = np.arctan2(to[1], to[0]) + np.radians(rng.uniform(-14.0, 14.0)) + share * sweep
    look = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return eye, _aimed(look, rng.uniform(-16.0, -3.0))


def _orbit(stage: Stage, rng: np.random.Generator, share: Array) -> tuple[Array, Array]:
    """Around a point among the people, which stays in the middle of the picture."""
    swing = np.radians(rng.uniform(6.0, 15.0)) * stage.seconds * rng.choice([-1.0, 1.0])
    turn = rng.uniform(0.0, 2 * np.pi) + share * swing
    spoke = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    centre = stage.middle + stage.along * rng.uniform(-3, 3) + stage.out * rng.uniform(0, 4)
    ground = centre + float(rng.uniform(6.0, 11.0)) * spoke
    eye = np.column_stack([ground, np.full(len(share), rng.uniform(2.0, 6.0))])
    aim = np.append(centre, rng.uniform(1.0, 2.0)) - eye
    return eye, aim / np.linalg.norm(aim, axis=1, keepdims=True)


def _aimed(look: Array, pitch: float) -> Array:
    """Unit directions [F, 3] along `look` [F, 2], `pitch` degrees up."""
    flat = look / np.linalg.norm(look, axis=1, keepdims=True)
    up = np.radians(pitch)
    return np.column_stack([flat * np.cos(up), np.full(len(flat), np.sin(up))])


def _free(sight: Sight, eye: Array, walked: Walked) -> bool:
    """Whether a path stays clear of what stands and of what moves."""
    if not sight.stands_free(eye).all():
        return False
    gap = np.linalg.norm(walked.position - eye[:, None, :2], axis=2)
    if gap.min(initial=np.inf) < PERSONAL:
        return False
    cars = np.linalg.norm(walked.car_position - eye[:, None, :2], axis=2)
    return bool(cars.min(initial=np.inf) > CAR_REACH + PERSONAL or eye[:, 2].min() > ROOF)


def _views(eye: Array, aim: Array, fov: float, aspect: float) -> list[Viewpoint]:
    return [look_at(e, e + a, fov_y=fov, aspect=aspect) for e, a in zip(eye, aim, strict=True)]


def _score(sight: Sight, views: list[Viewpoint], walked: Walked) -> float:
    """1 for a path that always sees houses, road and people, with nothing close before it; less
    the more of that is missing in the worst of the frames looked through.
    """
    people = 2 if len(walked.position[0]) >= COMPANY else 1
    lowest = 1.0
    for frame in np.linspace(0, len(views) - 1, LOOKS).astype(int):
        view = sight.view(views[frame])
        seen = sight.seen(views[frame], walked.position[frame])
        shares = (view.facade / 0.15, view.road / 0.12, view.nearest / 3.0, seen / people)
        lowest = min(lowest, *shares)
    return lowest
