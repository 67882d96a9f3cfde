"""The offline many-step sampler of the paper: a whole clip at once, guided.

For the 14B teacher and for evaluation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from c2r.models.attention import LatentMask
from c2r.models.control import ControlInput
from c2r.models.dit import DiT
from c2r.models.forward_pass import Text
from c2r.streaming.guidance import GuidanceConfig, Momentum, Predictions, apg, cfg, rescaled
from c2r.streaming.schedule import TRAIN_STEPS
from c2r.streaming.solvers import SolverName, solver_of


@dataclass(frozen=True)
class SamplerConfig:
    """The release's settings: 50 steps, shift 5, APG. `solver`: see `c2r.streaming.solvers`."""

    steps: int = 50
    shift: float = 5.0
    guidance: GuidanceConfig = field(default_factory=GuidanceConfig)
    solver: SolverName = "euler"


@dataclass(frozen=True)
class Prepared:
    """Control with its hints made: for passes with the prompt, and with the negative prompt."""

    both: ControlInput | None
    negative: ControlInput | None


@dataclass(frozen=True)
class Sampler:
    """A DiT, the prompt, the negative prompt (often empty) and the control of one clip."""

    dit: DiT
    text: Text
    negative: Text
    control: ControlInput | None = None
    mask: LatentMask | None = None

    def prepared(self) -> Prepared:
        """Control for both prompts, with hints precomputed for all steps where the kind can."""
        prepare = partial(self.dit.prepare_control, self.control, mask=self.mask)
        return Prepared(prepare(self.text), prepare(self.negative))

    def predict(self, x: Tensor, level: float, text: Text, control: ControlInput | None) -> Tensor:
        """One pass: velocity at noise level `level`."""
        timestep = torch.full((1,), TRAIN_STEPS * level, device=x.device)
        return self.dit(x, timestep, text, control=control, mask=self.mask)

    def guided(
        self, x: Tensor, level: float, control: Prepared, state: Momentum, config: GuidanceConfig
    ) -> tuple[Tensor, Momentum]:
        """One or three passes, combined; without control the second pass equals the first."""
        both = self.predict(x, level, self.text, control.both)
        if not config.active(level):
            return both, state
        nothing = self.predict(x, level, self.negative, None)
        with_control = (
            nothing
            if control.negative is None
            else self.predict(x, level, self.negative, control.negative)
        )
        velocity = Predictions(nothing, with_control, both)
        if config.kind == "cfg":
            guided = cfg(velocity, config)
        else:
            guided, state = apg(x, velocity, level, state, config)
        return rescaled(x, guided, both, level, config.rescale), state

    @torch.no_grad()
    def run(
        self,
        noise: Tensor,
        config: SamplerConfig | None = None,
        *,
        on_step: Callable[[int, int], None] | None = None,
    ) -> Tensor:
        """Noise `[B, T, C, rows, columns]` float32 -> clean latents of the same shape.

        `on_step(done, steps)` is called after each step.
        """
        config = config or SamplerConfig()
        solver = solver_of(config.solver, config.steps, config.shift)
        x, state, control = noise, Momentum(), self.prepared()
        for step, level in enumerate(solver.levels):
            velocity, state = self.guided(x, level, control, state, config.guidance)
            x = solver.step(step, x, velocity)
            if on_step is not None:
                on_step(step + 1, config.steps)
        return x
