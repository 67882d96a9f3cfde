"""The city block as plain data: what stands where, in metres, Z up, X east, Y north.

A plan knows nothing of any engine. It is frozen, made of numbers and strings only, and survives
`from_dict(json.loads(json.dumps(to_dict(plan))))`, so that another program can draw the same city.
Headings are radians, counter-clockwise from east. Colours are sRGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from pydantic import TypeAdapter

Point = tuple[float, float]
Colour = tuple[float, float, float]
Side = Literal["south", "east", "north", "west"]

LANE = 3.2
PARKING = 2.2
STREET = 2 * (LANE + PARKING)
PAVEMENT = 4.2
KERB = 0.12
GROUND_FLOOR = 3.9
FLOOR = 3.1
FURNITURE = 0.65
"""Trees and lamp posts stand this far from the kerb; people keep out of the strip below."""
KERB_STRIP = 1.3
WALL_STRIP = 0.4


@dataclass(frozen=True)
class Rect:
    """An upright rectangle on the ground, metres."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def size(self) -> Point:
        return self.x1 - self.x0, self.y1 - self.y0

    @property
    def centre(self) -> Point:
        return (self.x0 + self.x1) / 2, (self.y0 + self.y1) / 2

    def inset(self, margin: float) -> Rect:
        """`margin` metres further in on every side; negative grows it."""
        return Rect(self.x0 + margin, self.y0 + margin, self.x1 - margin, self.y1 - margin)


@dataclass(frozen=True)
class Building:
    """A box of `floors` storeys; `street_sides` carry windows, the others are blank walls."""

    footprint: Rect
    floors: int
    style: Literal["punched", "ribbon", "tall"]
    street_sides: tuple[Side, ...]
    wall: Colour
    trim: Colour
    accent: Colour

    @property
    def height(self) -> float:
        """Metres from the pavement to the roof, without the cornice."""
        return GROUND_FLOOR + (self.floors - 1) * FLOOR


@dataclass(frozen=True)
class Tree:
    """A street tree; `seed` shapes its crown."""

    position: Point
    trunk: float
    crown: float
    leaf: Colour
    seed: int


@dataclass(frozen=True)
class LampPost:
    """A lamp whose arm points along `heading`, over the road."""

    position: Point
    heading: float


@dataclass(frozen=True)
class CarModel:
    """Kind and paint of a car. Fields that hold it are called `look`, the key in `take.json`."""

    kind: Literal["sedan", "hatch", "van"]
    paint: Colour


@dataclass(frozen=True)
class ParkedCar:
    """A car at the kerb."""

    position: Point
    heading: float
    look: CarModel


@dataclass(frozen=True)
class MovingCar:
    """A car on loop `loop`, `start` metres from the loop's first point."""

    loop: int
    start: float
    look: CarModel


@dataclass(frozen=True)
class Crossing:
    """A zebra crossing; `axis` is the way people walk over it, 0 along X and 1 along Y."""

    area: Rect
    axis: Literal[0, 1]


@dataclass(frozen=True)
class Walkway:
    """An edge of the pavement graph; `crossing` indexes `Plan.crossings`, -1 on a pavement."""

    a: int
    b: int
    crossing: int


@dataclass(frozen=True)
class Walker:
    """A pedestrian: clothes, height in metres, preferred speed in m/s, and where the walk begins.

    It starts on edge `edge` heading for node `to`, `progress` metres from the edge's other end,
    and keeps `offset` metres right of the edge's middle line.
    """

    height: float
    speed: float
    shirt: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    edge: int
    to: int
    progress: float
    offset: float


@dataclass(frozen=True)
class Plan:
    """Everything in the city. Walker 0 is the character whom the camera follows.

    `blocks` are kerb outlines; `pavements` lie inside them, around the buildings; `walkable` is
    the part of the pavements that people use. `loops` are closed lane middles, first point not
    repeated, in driving direction. `skyline` boxes are (rectangle, height) far away.
    """

    seed: int
    bounds: Rect
    blocks: tuple[Rect, ...]
    pavements: tuple[Rect, ...]
    walkable: tuple[Rect, ...]
    crossings: tuple[Crossing, ...]
    buildings: tuple[Building, ...]
    skyline: tuple[tuple[Rect, float], ...]
    trees: tuple[Tree, ...]
    lamps: tuple[LampPost, ...]
    parked: tuple[ParkedCar, ...]
    loops: tuple[tuple[Point, ...], ...]
    cars: tuple[MovingCar, ...]
    nodes: tuple[Point, ...]
    walkways: tuple[Walkway, ...]
    walkers: tuple[Walker, ...]


def to_dict(plan: Plan) -> dict[str, Any]:
    """The plan as nested dictionaries, tuples and numbers, ready for `json.dumps`."""
    return asdict(plan)


def from_dict(data: dict[str, Any]) -> Plan:
    """The plan that `to_dict` wrote. Raises `pydantic.ValidationError` (a `ValueError`) naming
    every field that is missing or of the wrong type.
    """
    return TypeAdapter(Plan).validate_python(data)
