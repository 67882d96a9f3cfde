"""Camera paths through a street: dolly, follow, pan and orbit, smooth and never inside anything.

`follow` is the sample game's own camera. The others are drawn at random until one is clear of
obstacles and sees street, houses and people; if none of `TRIES` does, the best is taken. All are
drawn before the first is judged, so that the random numbers drawn after a path do not depend on
which one was taken. F frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from street.city.follow_camera import FOV_Y, FollowCamera
from street.city.plan import PAVEMENT, STREET, Plan
from street.city.viewpoint import Viewpoint, look_at
from street.director.movement import Movement
from street.director.visibility import CAR_REACH, ROOF, Visibility

Array = NDArray[np.float64]
Kind = Literal["dolly", "follow", "pan", "orbit"]

FOLLOW_TICKS = 4
TRIES = 400
CHECKED_FRAMES = 6
"""Frames of a path that are judged before it is taken."""
COMPANY = 8
"""With this many people in the city two must be visible at all times, otherwise one."""
PERSONAL_SPACE = 1.5
"""Metres that a camera keeps from people."""


@dataclass(frozen=True, eq=False)
class CameraPath:
    """`eye` [F, 3] metres, `axes` [F, 3, 3] rows right, up, forward; `fov_y` in radians."""

    eye: Array
    axes: Array
    fov_y: float


@dataclass(frozen=True, eq=False)
class StreetSection:
    """The piece of street that a path is drawn for: `middle` among people, and the directions
    `along` the street and `out` from the pavement to the road, each [2]; `seconds` it lasts.
    """

    middle: Array
    along: Array
    out: Array
    seconds: float


def camera_path(
    kind: Kind,
    plan: Plan,
    movement: Movement,
    rng: np.random.Generator,
    *,
    fps: float,
    aspect: float,
) -> CameraPath:
    """A path of `kind` among the people and cars of `movement`."""
    if kind == "follow":
        return _follow(plan, movement, fps=fps, aspect=aspect)
    visibility, section = Visibility(plan), _street_section(plan, movement, fps)
    candidates = [_candidate(kind, section, rng, len(movement.position)) for _ in range(TRIES)]
    best, most = None, -np.inf
    for eye, aim, fov in candidates:
        if not _free(visibility, eye, movement):
            continue
        views = _views(eye, aim, fov, aspect)
        score = _score(visibility, views, movement)
        if score >= 1.0:
            return CameraPath(eye, np.stack([v.axes for v in views]), fov)
        if score > most:
            best, most = CameraPath(eye, np.stack([v.axes for v in views]), fov), score
    assert best is not None, f"no {kind} of {TRIES} is clear of obstacles in city {plan.seed}"
    return best


def _follow(plan: Plan, movement: Movement, *, fps: float, aspect: float) -> CameraPath:
    """The sample game's camera behind walker 0, advanced in ticks between the frames."""
    feet = np.column_stack([movement.position[:, 0], movement.ground[:, 0]])
    heading = movement.heading[:, 0]
    camera = FollowCamera(plan, aspect, feet[0], float(heading[0]))
    views = [camera.viewpoint()]
    for frame in range(1, len(feet)):
        for share in np.linspace(0, 1, FOLLOW_TICKS + 1)[1:]:
            here = feet[frame - 1] * (1 - share) + feet[frame] * share
            turned = heading[frame - 1] * (1 - share) + heading[frame] * share
            camera.step(1 / fps / FOLLOW_TICKS, here, float(turned))
        views.append(camera.viewpoint())
    eye, axes = np.stack([v.position for v in views]), np.stack([v.axes for v in views])
    return CameraPath(eye, axes, FOV_Y)


def _street_section(plan: Plan, movement: Movement, fps: float) -> StreetSection:
    """Around walker 0, who never walks alone; the road lies away from the middle of its block."""
    frames = len(movement.position)
    middle = movement.position[frames // 2, 0]
    centres = np.array([b.centre for b in plan.blocks])
    halves = np.array([b.size for b in plan.blocks]) / 2
    past = np.abs(middle - centres) - halves
    block = int(past.max(axis=1).argmin())
    axis = int(past[block].argmax())
    out = np.zeros(2)
    out[axis] = np.sign(middle[axis] - centres[block, axis])
    return StreetSection(middle, np.array([out[1], -out[0]]), out, frames / fps)


def _candidate(
    kind: Kind, section: StreetSection, rng: np.random.Generator, frames: int
) -> tuple[Array, Array, float]:
    """A random path: eyes [F, 3], unit directions [F, 3], and a field of view."""
    share = np.linspace(-0.5, 0.5, frames)
    path = {"dolly": _dolly, "pan": _pan, "orbit": _orbit}[kind]
    eye, aim = path(section, rng, share)
    return eye, aim, float(np.radians(rng.uniform(44.0, 58.0)))


def _dolly(section: StreetSection, rng: np.random.Generator, share: Array) -> tuple[Array, Array]:
    """Along the street at a walk or a slow ride, looking down it and a little to the houses."""
    way = section.along * rng.choice([-1.0, 1.0])
    travel = float(rng.uniform(0.7, 2.4)) * section.seconds * float(rng.choice([1.0, 1.0, -1.0]))
    aside = float(rng.uniform(-1.0, PAVEMENT / 2 + STREET * 0.8))
    start = section.middle + aside * section.out - float(rng.uniform(4.0, 13.0)) * way
    eye = np.column_stack([start + share[:, None] * travel * way, np.zeros(len(share))])
    eye[:, 2] = rng.uniform(1.6, 4.2)
    look = way - section.out * np.tan(np.radians(rng.uniform(-12.0, 32.0)))
    return eye, _aimed(np.tile(look, (len(share), 1)), rng.uniform(-13.0, -2.0))


def _pan(section: StreetSection, rng: np.random.Generator, share: Array) -> tuple[Array, Array]:
    """From one place, over the street to the people, turning to one side."""
    along, across = float(rng.uniform(-12.0, 12.0)), float(rng.uniform(2.5, STREET + PAVEMENT))
    place = section.middle + along * section.along + across * section.out
    eye = np.tile(np.append(place, rng.uniform(1.7, 6.0)), (len(share), 1))
    to = section.middle - place
    sweep = np.radians(rng.uniform(7.0, 18.0)) * section.seconds * rng.choice([-1.0, 1.0])
    turn = np.arctan2(to[1], to[0]) + np.radians(rng.uniform(-14.0, 14.0)) + share * sweep
    look = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return eye, _aimed(look, rng.uniform(-16.0, -3.0))


def _orbit(section: StreetSection, rng: np.random.Generator, share: Array) -> tuple[Array, Array]:
    """Around a point among the people, which stays in the middle of the frame."""
    swing = np.radians(rng.uniform(6.0, 15.0)) * section.seconds * rng.choice([-1.0, 1.0])
    turn = rng.uniform(0.0, 2 * np.pi) + share * swing
    spoke = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    centre = section.middle + section.along * rng.uniform(-3, 3) + section.out * rng.uniform(0, 4)
    ground = centre + float(rng.uniform(6.0, 11.0)) * spoke
    eye = np.column_stack([ground, np.full(len(share), rng.uniform(2.0, 6.0))])
    aim = np.append(centre, rng.uniform(1.0, 2.0)) - eye
    return eye, aim / np.linalg.norm(aim, axis=1, keepdims=True)


def _aimed(look: Array, pitch: float) -> Array:
    """Unit directions [F, 3] along `look` [F, 2], `pitch` degrees up."""
    flat = look / np.linalg.norm(look, axis=1, keepdims=True)
    up = np.radians(pitch)
    return np.column_stack([flat * np.cos(up), np.full(len(flat), np.sin(up))])


def _free(visibility: Visibility, eye: Array, movement: Movement) -> bool:
    """Whether a path stays clear of obstacles, people and cars."""
    if not visibility.clear_of_obstacles(eye).all():
        return False
    gap = np.linalg.norm(movement.position - eye[:, None, :2], axis=2)
    if gap.min(initial=np.inf) < PERSONAL_SPACE:
        return False
    cars = np.linalg.norm(movement.car_position - eye[:, None, :2], axis=2)
    return bool(cars.min(initial=np.inf) > CAR_REACH + PERSONAL_SPACE or eye[:, 2].min() > ROOF)


def _views(eye: Array, aim: Array, fov: float, aspect: float) -> list[Viewpoint]:
    return [look_at(e, e + a, fov_y=fov, aspect=aspect) for e, a in zip(eye, aim, strict=True)]


def _score(visibility: Visibility, views: list[Viewpoint], movement: Movement) -> float:
    """1 for a path that always sees houses, road and people with nothing close in front of it, and
    less the more of that is missing in the worst of the frames judged.
    """
    people = 2 if len(movement.position[0]) >= COMPANY else 1
    lowest = 1.0
    for frame in np.linspace(0, len(views) - 1, CHECKED_FRAMES).astype(int):
        content = visibility.frame_content(views[frame])
        seen = visibility.people_in_view(views[frame], movement.position[frame])
        shares = (content.facade / 0.15, content.road / 0.12, content.nearest / 3.0, seen / people)
        lowest = min(lowest, *shares)
    return lowest
