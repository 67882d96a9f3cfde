"""What stands out of a facade by centimetres: window frames, shutters, railings, doors, signs.

Every part is an upright box on a wall, given in metres of a rectangle of that wall. It changes no
outline by more than a sill does, since the coarse clip has none of it.

B boxes, Q quads (corners as in `street.city.shapes`: low left, low right, high right, high left,
seen from outside).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from street.city.shapes import quads
from street.studio.surface import Floats, MaterialKind, Surface, surface

Span = tuple[float, float, float, float, float, float]
"""A box: from and to along the wall, up, and out of it."""
FRAMES = ((0.80, 0.79, 0.76), (0.80, 0.79, 0.76), (0.16, 0.17, 0.18), (0.34, 0.22, 0.14))
IRON = (0.09, 0.09, 0.10)
INSET = 0.045
"""Metres by which glass lies behind the plane that the city draws it in."""


@dataclass(frozen=True)
class Spot:
    """A rectangle of a wall: its quad's corners [4, 3]."""

    corners: Floats

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in metres."""
        c = self.corners
        return float(np.linalg.norm(c[1] - c[0])), float(c[3, 2] - c[0, 2])

    def boxes(self, spans: list[Span]) -> Floats:
        """Corners [5 B, 4, 3] of the boxes' fronts and sides; their backs are left out."""
        low = self.corners[0]
        along = (self.corners[1] - low) / self.size[0]
        out = np.array([along[1], -along[0], 0.0])
        axes = np.stack([along, [0.0, 0.0, 1.0], out])
        span = np.array(spans).reshape(-1, 3, 2)
        x, z, y = (np.array(k) for k in _BOX)
        picked = np.stack([span[:, 0][:, x], span[:, 1][:, z], span[:, 2][:, y]], axis=-1)
        return (low + picked @ axes).reshape(-1, 4, 3).astype(np.float32)


# The corners of front, left, right, top and bottom: which end of each span they take.
_BOX = (
    [[0, 1, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1], [0, 1, 1, 0], [0, 1, 1, 0]],
    [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0]],
    [[1, 1, 1, 1], [0, 1, 1, 0], [1, 0, 0, 1], [1, 1, 0, 0], [0, 0, 1, 1]],
)


def frame(spot: Spot, rng: np.random.Generator, *, bar: float = 0.055) -> list[Span]:
    """Frame, mullion and transom in front of a pane that lies `INSET` back."""
    width, height = spot.size
    back, out, slim = -INSET, 0.015, 0.6 * bar
    spans: list[Span] = [
        (0, bar, 0, height, back, out),
        (width - bar, width, 0, height, back, out),
        (bar, width - bar, 0, bar, back, out),
        (bar, width - bar, height - bar, height, back, out),
    ]
    if width > 0.9:
        middle = width / 2
        spans.append((middle - slim, middle + slim, bar, height - bar, back, 0.0))
    if rng.random() < 0.6:
        high = 0.72 * height
        spans.append((bar, width - bar, high - slim, high + slim, back, -0.005))
    return spans


def shutters(spot: Spot) -> list[Span]:
    """A pair of open shutters with slats, beside the window."""
    width, height = spot.size
    leaf = 0.42 * width
    spans: list[Span] = []
    for left in (-0.04 - leaf, width + 0.04):
        right = left + leaf
        spans.append((left, right, 0, height, -0.08, -0.03))
        spans += [(x, x + 0.05, 0, height, -0.03, -0.012) for x in (left, right - 0.05)]
        for low in np.arange(0.04, height - 0.05, 0.11).tolist():
            spans.append((left + 0.05, right - 0.05, low, low + 0.055, -0.03, -0.016))
    return spans


def railing(spot: Spot) -> list[Span]:
    """A railing of iron bars in front of a window's lower part."""
    width, _ = spot.size
    spans: list[Span] = [(-0.08, width + 0.08, z, z + 0.035, 0.06, 0.10) for z in (0.05, 0.62)]
    places = np.linspace(-0.07, width + 0.055, max(4, round(width / 0.12))).tolist()
    return spans + [(x, x + 0.016, 0.05, 0.62, 0.07, 0.086) for x in places]


def door(spot: Spot) -> tuple[list[Span], list[Span], list[Span]]:
    """Wood, panels and metal of a door of two leaves; the upper fields are left to glass."""
    width, height = spot.size
    middle, stile = width / 2, 0.11
    wood: list[Span] = []
    panels: list[Span] = []
    for left, right in ((0.0, middle - 0.006), (middle + 0.006, width)):
        wood += [(x, x + stile, 0, height, -0.05, 0.0) for x in (left, right - stile)]
        wood += [
            (left + stile, right - stile, low, high, -0.05, 0.0)
            for low, high in ((0.0, 0.22), (0.92, 1.06), (height - 0.13, height))
        ]
        panels.append((left + stile + 0.05, right - stile - 0.05, 0.29, 0.85, -0.05, -0.02))
    metal: list[Span] = [(0.02, width - 0.02, 0.03, 0.19, 0.0, 0.006)]
    metal += [(x, x + 0.03, 0.98, 1.32, 0.02, 0.055) for x in (middle - 0.09, middle + 0.06)]
    return wood, panels, metal


def door_lights(spot: Spot) -> Floats:
    """The glass [2, 4, 3] in a door's upper fields."""
    width, height = spot.size
    middle = width / 2
    spans: list[Span] = [
        (left, right, 1.06, height - 0.13, -0.05, -0.035)
        for left, right in ((0.11, middle - 0.116), (middle + 0.116, width - 0.11))
    ]
    return spot.boxes(spans)[::5]


def cornice(spot: Spot, rng: np.random.Generator) -> list[Span]:
    """Blocks under the roof's edge, bands between storeys and a plinth, on a whole wall."""
    width, height = spot.size
    step = rng.choice([0.45, 0.6, 0.9])
    spans: list[Span] = [
        (x, x + 0.45 * step, height - 0.42, height - 0.1, 0.0, 0.13)
        for x in np.arange(0.1, width - step, step).tolist()
    ]
    spans.append((0, width, height - 0.52, height - 0.42, 0.0, 0.08))
    return spans


def painted(
    corners: Floats, colour: tuple[float, float, float] | NDArray[np.floating], kind: MaterialKind
) -> Surface:
    """Quads [Q, 4, 3] in one sRGB colour."""
    return surface(corners.reshape(-1, 3), quads(len(corners)), np.array(colour), kind)


def inset(corners: Floats, by: float) -> Floats:
    """Quads [Q, 4, 3] moved into their walls by `by` metres."""
    along = corners[:, 1] - corners[:, 0]
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    out = np.stack([along[:, 1], -along[:, 0], np.zeros(len(along))], axis=1)
    return (corners - by * out[:, None]).astype(np.float32)


def spots(corners: Floats) -> Iterator[Spot]:
    """One spot a quad."""
    return (Spot(quad) for quad in corners)
