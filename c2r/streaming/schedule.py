"""Noise levels: flow matching, its shift, and the few-step lists of distilled students.

A level s in [0, 1] mixes `x = (1 - s) x_0 + s e`; the network is told 1000 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor

TRAIN_STEPS = 1000.0


def shift_level(level: float, shift: float) -> float:
    """`s' = f s / (1 + (f - 1) s)`: more steps at high noise for f > 1 (Wan 2.1 uses 5 at 480p)."""
    return shift * level / (1 + (shift - 1) * level)


def few_step_levels(timesteps: Sequence[float], shift: float) -> tuple[float, ...]:
    """A student's timesteps as shifted levels.

    (1000, 750, 500, 250) at shift 5 gives (1, 0.9375, 0.8333, 0.625). `ValueError` unless they
    fall.
    """
    levels = tuple(shift_level(step / TRAIN_STEPS, shift) for step in timesteps)
    falling = all(a > b for a, b in pairwise(levels))
    if not levels or levels[0] > 1 or levels[-1] <= 0 or not falling:
        raise ValueError(
            f"timesteps {tuple(timesteps)} must fall from at most 1000 to more than 0, "
            "for example (1000, 750, 500, 250)"
        )
    return levels


def many_step_levels(steps: int, shift: float) -> tuple[float, ...]:
    """Levels of a sampler of `steps` Euler steps, from 1 down to, and ending with, 0."""
    if steps < 1:
        raise ValueError(f"a sampler needs at least 1 step, not {steps}")
    return tuple(shift_level(1 - step / steps, shift) for step in range(steps + 1))


def add_noise(clean: Tensor, noise: Tensor, level: float | Tensor) -> Tensor:
    """`(1 - s) x_0 + s e`."""
    return (1 - level) * clean + level * noise


def clean_from_velocity(x: Tensor, velocity: Tensor, level: float | Tensor) -> Tensor:
    """`x_0 = x - s v` for `v = e - x_0`."""
    return x - level * velocity
