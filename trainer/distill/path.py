"""A teacher's path from noise to clean, and where a student is served on it."""

from __future__ import annotations

from c2r.models.configs import StreamConfig
from c2r.streaming.schedule import few_step_levels, many_step_levels


def served_levels(stream: StreamConfig) -> tuple[float, ...]:
    """Every noise level that a student is served at, highest first."""
    both = few_step_levels(stream.timesteps, stream.shift)
    first = few_step_levels(stream.first_timesteps or stream.timesteps, stream.shift)
    return tuple(sorted({*both, *first}, reverse=True))


def places_on_path(stream: StreamConfig, steps: int) -> tuple[int, ...]:
    """Where the path of so many steps has those levels; `ValueError` if it has not."""
    path = many_step_levels(steps, stream.shift)
    places = []
    for level in served_levels(stream):
        place = min(range(steps), key=lambda number: abs(path[number] - level))
        if abs(path[place] - level) > 1e-6:
            raise ValueError(
                f"a path of distil.steps {steps} has no level {level:.4f}, which the student is "
                "served at; choose a multiple of 4 for timesteps such as 1000, 750, 500, 250"
            )
        places.append(place)
    return tuple(places)
