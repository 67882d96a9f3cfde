"""What takes a sampler from noise level to noise level: Euler, or UniPC (Zhao et al., 2023,
arXiv:2302.04867), which Wan's own tools sample with and which needs fewer steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, get_args

from torch import Tensor

from c2r.streaming.schedule import TRAIN_STEPS, many_step_levels

SolverName = Literal["euler", "unipc"]
SOLVERS: tuple[SolverName, ...] = get_args(SolverName)


class Solver(Protocol):
    """One clip, from noise to latents: solvers remember their steps, so each clip has its own."""

    @property
    def levels(self) -> Sequence[float]:
        """Noise levels where a velocity is wanted, falling from 1."""
        ...

    def step(self, index: int, x: Tensor, velocity: Tensor) -> Tensor:
        """`x` at the level after `levels[index]`; the last step ends at level 0."""
        ...


class Euler:
    """Straight on, from level to level."""

    def __init__(self, steps: int, shift: float) -> None:
        self._all = many_step_levels(steps, shift)
        self.levels = self._all[:-1]

    def step(self, index: int, x: Tensor, velocity: Tensor) -> Tensor:
        return x + (self._all[index + 1] - self._all[index]) * velocity


class UniPC:
    """diffusers' `UniPCMultistepScheduler`, of second order, with the shift of flow matching.

    The network is told 1000 times the level, where that scheduler cuts it to a whole number.
    """

    def __init__(self, steps: int, shift: float) -> None:
        from diffusers import UniPCMultistepScheduler

        many_step_levels(steps, shift)  # what is wrong with them
        self._scheduler: Any = UniPCMultistepScheduler(
            num_train_timesteps=int(TRAIN_STEPS),
            prediction_type="flow_prediction",
            use_flow_sigmas=True,
            flow_shift=shift,
        )
        self._scheduler.set_timesteps(steps)
        # It looks for the first step by a timestep cut to a whole number, which many steps share.
        self._scheduler.set_begin_index(0)
        self.levels: tuple[float, ...] = tuple(self._scheduler.sigmas[:-1].tolist())

    def step(self, index: int, x: Tensor, velocity: Tensor) -> Tensor:
        timestep = self._scheduler.timesteps[index]
        after: Tensor = self._scheduler.step(velocity, timestep, x, return_dict=False)[0]
        return after


def solver_of(name: SolverName, steps: int, shift: float) -> Solver:
    """A solver at its beginning. `ValueError` for another name, or fewer steps than 1."""
    if name not in SOLVERS:
        raise ValueError(f"solver {name!r} is unknown; use {' or '.join(SOLVERS)}")
    return UniPC(steps, shift) if name == "unipc" else Euler(steps, shift)
