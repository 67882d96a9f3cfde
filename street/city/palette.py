"""Colours that the city chooses from, sRGB in [0, 1]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from street.city.plan import Colour

T = TypeVar("T")

WALLS: tuple[Colour, ...] = (
    (0.72, 0.45, 0.36),
    (0.88, 0.82, 0.70),
    (0.80, 0.68, 0.52),
    (0.70, 0.72, 0.74),
    (0.62, 0.70, 0.72),
    (0.90, 0.88, 0.84),
    (0.78, 0.58, 0.48),
    (0.83, 0.75, 0.60),
    (0.66, 0.62, 0.66),
)
TRIMS: tuple[Colour, ...] = ((0.95, 0.94, 0.90), (0.86, 0.84, 0.80), (0.55, 0.54, 0.53))
ACCENTS: tuple[Colour, ...] = (
    (0.75, 0.25, 0.22),
    (0.20, 0.45, 0.40),
    (0.22, 0.36, 0.58),
    (0.85, 0.62, 0.25),
    (0.40, 0.28, 0.38),
)
LEAVES: tuple[Colour, ...] = ((0.36, 0.62, 0.28), (0.44, 0.66, 0.30), (0.30, 0.54, 0.30))
PAINTS: tuple[Colour, ...] = (
    (0.80, 0.16, 0.14),
    (0.16, 0.32, 0.62),
    (0.92, 0.92, 0.93),
    (0.55, 0.58, 0.60),
    (0.20, 0.21, 0.23),
    (0.90, 0.68, 0.16),
    (0.22, 0.48, 0.42),
)
SHIRTS: tuple[Colour, ...] = (
    (0.85, 0.30, 0.26),
    (0.95, 0.78, 0.30),
    (0.26, 0.50, 0.78),
    (0.34, 0.62, 0.42),
    (0.92, 0.92, 0.90),
    (0.55, 0.36, 0.62),
    (0.25, 0.28, 0.34),
    (0.94, 0.56, 0.34),
)
TROUSERS: tuple[Colour, ...] = (
    (0.20, 0.24, 0.34),
    (0.32, 0.30, 0.28),
    (0.58, 0.50, 0.40),
    (0.30, 0.38, 0.52),
)
SKINS: tuple[Colour, ...] = (
    (0.96, 0.80, 0.68),
    (0.86, 0.66, 0.50),
    (0.62, 0.43, 0.31),
    (0.44, 0.30, 0.22),
)
HAIRS: tuple[Colour, ...] = (
    (0.16, 0.12, 0.10),
    (0.36, 0.24, 0.15),
    (0.72, 0.56, 0.32),
    (0.48, 0.46, 0.45),
)


def pick(rng: np.random.Generator, choices: Sequence[T]) -> T:
    """One of `choices`, each as likely as the next."""
    return choices[int(rng.integers(len(choices)))]
