"""Everything that moves in a scene, frame by frame: people, walked by JuPedSim, and cars.

The simulation is a program of the studio interpreter; this module starts it and reads its answer.
F frames, N people, M cars.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from street.city.plan import KERB, Plan, to_dict
from street.city.poses import car_poses, figure_poses, placed
from street.director.programs import Programs

Array = NDArray[np.float64]

WARM_UP = 4.0
"""Seconds simulated before frame 0, so that people are spread and walking, and cars drive."""
KERB_RAMP = 0.35


@dataclass(frozen=True, eq=False)
class Movement:
    """`position` [F, N, 2], `heading` [F, N] radians, `walked` [F, N] metres, `swing` [F, N];
    `car_position` [F, M, 2], `car_heading` [F, M], `rolled` [F, M]; `ground` [F, N] is the height
    that each person stands at.
    """

    position: Array
    heading: Array
    walked: Array
    swing: Array
    car_position: Array
    car_heading: Array
    rolled: Array
    ground: Array


def simulate(plan: Plan, *, fps: float, frames: int, programs: Programs) -> Movement:
    """The tracks of a plan's people and cars after `WARM_UP`.

    Raises ProgramError when the studio's program fails or answers something else.
    """
    request = {"plan": to_dict(plan), "fps": fps, "frames": frames, "warm_up": WARM_UP}
    with tempfile.TemporaryDirectory(prefix="c2r-walk-") as folder:
        asked, answer = Path(folder) / "request.json", Path(folder) / "tracks.npz"
        asked.write_text(json.dumps(request), encoding="utf-8")
        programs.walk(asked, answer)
        tracks = _read(answer)
    wanted = {"position": (frames, len(plan.walkers), 2), "rolled": (frames, len(plan.cars))}
    for name, shape in wanted.items():
        if tracks[name].shape != shape:
            raise ValueError(f"the walk's {name} is {tracks[name].shape}, wanted {shape}")
    return Movement(**tracks, ground=_ground(plan, tracks["position"]))


def parts(plan: Plan, movement: Movement) -> tuple[Array, Array]:
    """World matrices of all moving parts [F, K, 4, 4] and ground shadows [F, S, 4, 4], in the
    order of `World.parts` and `World.shadows`.
    """
    height = np.array([walker.height for walker in plan.walkers])
    models = tuple(car.look for car in plan.cars)
    rows, shadows = [], []
    for frame in range(len(movement.position)):
        feet = np.column_stack([movement.position[frame], movement.ground[frame]])
        legs = movement.heading[frame], movement.walked[frame], movement.swing[frame]
        people = figure_poses(feet, *legs, height)
        wheels = np.column_stack([movement.car_position[frame], np.zeros(len(models))])
        heading = movement.car_heading[frame]
        cars = car_poses(wheels, heading, movement.rolled[frame], models)
        rows.append(np.concatenate([people.reshape(-1, 4, 4), cars.reshape(-1, 4, 4)]))
        shadows.append(np.concatenate([placed(feet, np.zeros(len(feet))), placed(wheels, heading)]))
    return np.stack(rows), np.stack(shadows)


def _read(answer: Path) -> dict[str, Any]:
    names = [field.name for field in fields(Movement) if field.name != "ground"]
    try:
        with np.load(answer) as tracks:
            return {name: tracks[name] for name in names}
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ValueError(f"the walk's answer cannot be read: {error}") from error


def _ground(plan: Plan, position: Array) -> Array:
    """Heights [F, N]: the pavement's, and a short ramp down to the road."""
    blocks = np.array([(b.x0, b.y0, b.x1, b.y1) for b in plan.blocks])
    here = position[:, :, None]
    nearest = np.clip(here, blocks[:, :2], blocks[:, 2:])
    away = np.sqrt(((nearest - here) ** 2).sum(axis=-1)).min(axis=-1)
    return KERB * (1 - away / KERB_RAMP).clip(0.0)
