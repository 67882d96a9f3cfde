"""Directs a scene: from a seed to a take with its city, its people and cars, and its camera.

Hour, weather, the coarse clip's level and the kind of camera follow from the scene's place in its
set, so that any run of scenes is balanced. Everything else is drawn from the seed: the same seed
and place give the same take, whatever else is in the set and however often it is started again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from street.city.layout import plan_city
from street.city.take import Atmosphere, Hour, Level, Take, TakeHeader, Weather
from street.city.viewpoint import look_at
from street.director.cameras import Kind, camera_path
from street.director.captions import Crowd, captions, style_of
from street.director.movement import parts, simulate
from street.director.programs import Programs

HOURS: tuple[Hour, ...] = ("noon", "night", "dawn", "sunset")
WEATHERS: tuple[Weather, ...] = ("clear", "rain", "overcast", "fog", "snow")
LEVELS: tuple[Level, ...] = ("mid", "humanoids", "mid", "blocks", "mid")
CAMERAS: tuple[Kind, ...] = ("follow", "dolly", "follow", "pan", "orbit")
CROWDS: tuple[Crowd, ...] = ("sparse", "normal", "normal", "dense")
PEOPLE: dict[Crowd, tuple[int, int]] = {"sparse": (4, 8), "normal": (10, 18), "dense": (24, 37)}
CARS: dict[Crowd, tuple[int, int]] = {"sparse": (2, 5), "normal": (4, 8), "dense": (6, 11)}


@dataclass(frozen=True)
class Setting:
    """The part of a scene that its place in the set decides."""

    atmosphere: Atmosphere
    level: Level
    camera: Kind


def setting(index: int) -> Setting:
    """Any twenty scenes in a row show all twenty hours and weathers; 3 in 5 are of level `mid`,
    2 in 5 are followed, and over a hundred all of these are independent of each other.
    """
    weather, fives = index % 5, index // 5
    level, camera = LEVELS[(weather + fives) % 5], CAMERAS[(2 * weather + fives) % 5]
    return Setting(Atmosphere(HOURS[index % 4], WEATHERS[weather]), level, camera)


@dataclass(frozen=True, eq=False)
class Scene:
    """A take, and the attributes behind its caption."""

    take: Take
    crowd: Crowd
    style: str

    @property
    def attributes(self) -> dict[str, str]:
        """As the manifest's row lists them."""
        header = self.take.header
        return {
            "hour": header.atmosphere.hour,
            "weather": header.atmosphere.weather,
            "style": self.style,
            "crowd": self.crowd,
            "camera": header.camera,
            "level": header.level,
        }


def direct(
    seed: int,
    index: int,
    *,
    name: str,
    frames: int,
    programs: Programs,
    width: int = 256,
    height: int = 144,
    fps: float = 16.0,
) -> Scene:
    """The scene of `seed` (>= 0) at place `index` of its set, `frames` long; `name` is its id.

    Raises ProgramError when the studio cannot simulate it.
    """
    chosen, rng = setting(index), np.random.default_rng([seed, 3])
    crowd = CROWDS[int(rng.integers(len(CROWDS)))]
    people, cars = (int(rng.integers(*span[crowd])) for span in (PEOPLE, CARS))
    plan = plan_city(seed, people=people, cars=cars)
    movement = simulate(plan, fps=fps, frames=frames, programs=programs)
    path = camera_path(chosen.camera, plan, movement, rng, fps=fps, aspect=width / height)
    x, y = path.eye[:, :2].mean(axis=0)
    style = style_of(plan, (float(x), float(y)))
    caption, *wordings = captions(rng, chosen.atmosphere, style, crowd, cars=cars > 0)
    lens = look_at(path.eye[0], path.eye[0] + path.axes[0, 2], fov_y=path.fov_y, aspect=1.0)
    header = TakeHeader(
        id=name,
        seed=seed,
        level=chosen.level,
        atmosphere=chosen.atmosphere,
        caption=caption,
        wordings=tuple(wordings),
        camera=chosen.camera,
        width=width,
        height=height,
        fps=fps,
        fov_y=path.fov_y,
        near=lens.near,
        far=lens.far,
        plan=plan,
    )
    moving, shadows = parts(plan, movement)
    return Scene(Take(header, moving, shadows, path.eye, path.axes), crowd, str(style))
