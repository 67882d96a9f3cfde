"""The captions of a scene from its own attributes, in wording drawn from its seed.

Every caption names the hour and the weather. It knows plans and numbers; it never sees a frame.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

import numpy as np

from street.city.palette import WALLS, pick
from street.city.plan import Building, Plan, Point
from street.city.take import Atmosphere, Hour, Weather

Crowd = Literal["sparse", "normal", "dense"]
Material = Literal["brick", "plaster", "concrete", "glass"]

BRICKS = {WALLS[0], WALLS[2], WALLS[6]}
CONCRETES = {WALLS[3], WALLS[4], WALLS[8]}
WORDS: dict[Material, str] = {
    "brick": "brick",
    "plaster": "plastered",
    "concrete": "concrete",
    "glass": "glass-fronted",
}

NEAR = 45.0
"""Metres from the camera within which buildings count for the style."""
LOW_FLOORS = 4.5
"""Mean number of storeys from which on houses are called tall."""

TIMES: dict[Hour, str] = {
    "dawn": "at dawn",
    "noon": "at noon",
    "sunset": "at sunset",
    "night": "at night",
}
SKIES: dict[Weather, tuple[str, ...]] = {
    "clear": ("under a clear sky", "in clear weather"),
    "overcast": ("under an overcast sky", "in overcast weather"),
    "rain": ("in the rain", "in heavy rain"),
    "snow": ("in falling snow", "in the snow"),
    "fog": ("in fog", "in thick fog"),
}
LIGHT: dict[Hour, tuple[str, ...]] = {
    "dawn": ("soft early light", "pale morning light"),
    "noon": ("daylight", "bright day"),
    "sunset": ("warm low light", "evening light"),
    "night": ("street lamps", "lit windows", "dark sky"),
}
GROUND: dict[Weather, tuple[str, ...]] = {
    "clear": ("dry asphalt",),
    "overcast": ("grey asphalt", "soft shadows"),
    "rain": ("wet asphalt", "reflections on the wet street"),
    "snow": ("snow on the ground", "white pavements"),
    "fog": ("houses fading into the mist", "damp asphalt"),
}
PEOPLE: dict[Crowd, tuple[str, ...]] = {
    "sparse": ("a few people", "a few people walking"),
    "normal": ("people walking", "people on the pavements"),
    "dense": ("a crowd of people", "many people walking"),
}
SHOPS = ("shop windows on the ground floor", "awnings over shop windows", "shops along the street")
STREET = ("cars", "cars on the road", "parked cars", "trees along the street")


@dataclass(frozen=True)
class Style:
    """The commonest material of the houses near the camera, and whether they are tall."""

    material: Material
    tall: bool

    def __str__(self) -> str:
        return f"{'tall' if self.tall else 'low'} {self.material}"


def material(building: Building) -> Material:
    """What a facade looks like: red walls are brick, bands of windows are glass."""
    if building.wall in BRICKS:
        return "brick"
    if building.style == "ribbon":
        return "glass"
    return "concrete" if building.wall in CONCRETES else "plaster"


def style_of(plan: Plan, eye: Point) -> Style:
    """The style of the buildings within `NEAR` metres of `eye`."""
    near = [b for b in plan.buildings if np.hypot(*np.subtract(b.footprint.centre, eye)) < NEAR]
    assert near, "the camera is among the city's buildings"
    counts = Counter(material(b) for b in near)
    most = max(sorted(counts), key=lambda name: counts[name])
    return Style(most, float(np.mean([b.floors for b in near])) > LOW_FLOORS)


def captions(
    rng: np.random.Generator, atmosphere: Atmosphere, style: Style, crowd: Crowd, *, cars: bool
) -> tuple[str, str, str]:
    """One scene in three lengths, the middle one first, then short and long (at most 256 bytes).

    Each holds the words for the hour and the weather.
    """
    middle = _middle(rng, atmosphere, style, crowd, cars=cars)
    time, sky = TIMES[atmosphere.hour], pick(rng, SKIES[atmosphere.weather])
    subject = pick(rng, ("A street", "A city street", f"{WORDS[style.material]} houses"))
    short = f"{subject} {pick(rng, (f'{time} {sky}', f'{sky} {time}'))}"
    details = [pick(rng, PEOPLE[crowd]), *GROUND[atmosphere.weather], pick(rng, _street(cars))]
    details += [pick(rng, SHOPS), f"{WORDS[style.material]} facades"]
    if _lit(atmosphere):
        details.append(pick(rng, LIGHT[atmosphere.hour]))
    order = [details[index] for index in rng.permutation(len(details))]
    long = ", ".join([_opening(rng, atmosphere, style), *order, "photorealistic"])
    return middle, short, long


def _middle(
    rng: np.random.Generator, atmosphere: Atmosphere, style: Style, crowd: Crowd, *, cars: bool
) -> str:
    opening = _opening(rng, atmosphere, style)
    parts = [opening, *_details(rng, atmosphere, crowd, cars=cars)]
    if rng.random() < 0.5:
        parts.append("photorealistic")
    return ", ".join(parts)


def _opening(rng: np.random.Generator, atmosphere: Atmosphere, style: Style) -> str:
    time, sky = TIMES[atmosphere.hour], pick(rng, SKIES[atmosphere.weather])
    size = "tall" if style.tall else "low"
    houses = f"{size} {WORDS[style.material]} {pick(rng, ('houses', 'buildings'))}"
    return pick(
        rng,
        (
            f"A street of {houses} {sky} {time}",
            f"A city street {time} {sky}, {houses}",
            f"{houses.capitalize()} along a city street {time} {sky}",
        ),
    )


def _details(
    rng: np.random.Generator, atmosphere: Atmosphere, crowd: Crowd, *, cars: bool
) -> list[str]:
    """Ground, people, street and lights in a drawn order; people are always named."""
    details = [pick(rng, PEOPLE[crowd])]
    if rng.random() < 0.75:
        details.append(pick(rng, GROUND[atmosphere.weather]))
    if rng.random() < 0.75:
        details.append(pick(rng, _street(cars)))
    if _lit(atmosphere) and rng.random() < 0.5:
        details.append(pick(rng, LIGHT[atmosphere.hour]))
    return [details[index] for index in rng.permutation(len(details))]


def _street(cars: bool) -> tuple[str, ...]:
    return STREET if cars else STREET[-2:]


def _lit(atmosphere: Atmosphere) -> bool:
    """Whether the light of the hour is seen, and not only that of the weather."""
    return atmosphere.hour == "night" or atmosphere.weather == "clear"
