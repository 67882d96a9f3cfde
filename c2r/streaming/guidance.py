"""Guidance over three predictions: nothing (v00), control only (vC0), control and text (vCT).

CFG: `v00 + s_c (vC0 - v00) + s_t (vCT - vC0)`.
APG (Sadat et al. 2024, arXiv 2410.02416) as C2R's release uses it: the same two differences d,
taken in x_0, as `d + (s - 1) p(d)`, where p adds a running momentum of its own, shortens to a norm,
and strips the part parallel to the better prediction (kept with weight eta). Scales of 1 and 1 give
back vCT under both.

Large scales overshoot: what is to be darker becomes too dark. Three things limit that: APG's norm
threshold; `rescaled`, which gives the guided prediction the brightness and contrast of the one with
text and control; and an interval of noise levels outside which nothing is guided (Kynkaanniemi et
al. 2024, arXiv 2404.07724).

Shapes: predictions `[B, T, C, rows, columns]`; norms and projections run over all but B.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from c2r.streaming.schedule import clean_from_velocity

CHANNEL_AXIS = 2


@dataclass(frozen=True)
class GuidanceConfig:
    """`kind`: `none` (one pass, vCT), `cfg` or `apg`; scales of 1 and 1 give back vCT.

    `norm_threshold` None means differences are not shortened. `rescale`, 0 to 1: see `rescaled`.
    `interval`: noise levels, lowest and highest, that are guided. The defaults are the release's.
    """

    kind: str = "apg"
    control_scale: float = 1.0
    text_scale: float = 10.0
    eta: float = 0.0
    momentum: float = -0.5
    norm_threshold: float | None = None
    rescale: float = 0.0
    interval: tuple[float, float] = (0.0, 1.0)

    def __post_init__(self) -> None:
        if self.kind not in ("none", "cfg", "apg"):
            raise ValueError(f"guidance {self.kind!r} is unknown; use 'none', 'cfg' or 'apg'")
        for name in ("control_scale", "text_scale", "eta", "momentum"):
            if not math.isfinite(getattr(self, name)):
                raise ValueError(f"guidance.{name} is {getattr(self, name)}; give a finite number")
        if self.norm_threshold is not None and self.kind != "apg":
            raise ValueError(
                f"guidance.norm_threshold shortens the differences of apg, not of {self.kind}: set "
                "kind to apg, or leave it out"
            )
        if self.rescale and self.kind == "none":
            raise ValueError("guidance.rescale limits guidance, and kind is none: leave it out")
        if self.norm_threshold is not None and not self.norm_threshold > 0:
            raise ValueError(
                f"guidance.norm_threshold is {self.norm_threshold}; give a length above 0, or null"
            )
        if not 0 <= self.rescale <= 1:
            raise ValueError(f"guidance.rescale is {self.rescale}; it must be 0 to 1")
        low, high = self.interval
        if not 0 <= low < high <= 1:
            raise ValueError(
                f"guidance.interval is {low} to {high}; give two noise levels within 0 to 1, the "
                "lower one first"
            )

    def active(self, level: float) -> bool:
        """Whether noise level `level` is guided."""
        return self.kind != "none" and self.interval[0] <= level <= self.interval[1]


@dataclass(frozen=True)
class Predictions:
    """Velocities of the three passes."""

    nothing: Tensor
    control: Tensor
    both: Tensor


@dataclass(frozen=True)
class Momentum:
    """Running differences of APG, for control and for text; None before the first step."""

    control: Tensor | None = None
    text: Tensor | None = None


def cfg(velocity: Predictions, config: GuidanceConfig) -> Tensor:
    """Classifier-free guidance with one scale for control and one for text."""
    v = velocity
    return (
        v.nothing
        + config.control_scale * (v.control - v.nothing)
        + config.text_scale * (v.both - v.control)
    )


def apg(
    x: Tensor, velocity: Predictions, level: float, state: Momentum, config: GuidanceConfig
) -> tuple[Tensor, Momentum]:
    """Adaptive projected guidance at noise level `level` > 0: a velocity and the new momentum."""
    nothing, control, both = (
        clean_from_velocity(x, v, level)
        for v in (velocity.nothing, velocity.control, velocity.both)
    )
    by_control = _accumulate(control - nothing, state.control, config.momentum)
    by_text = _accumulate(both - control, state.text, config.momentum)
    # The two differences themselves lead from `nothing` to `both`.
    further = (config.control_scale - 1) * _project(by_control, control, config)
    further = further + (config.text_scale - 1) * _project(by_text, both, config)
    return velocity.both - further / level, Momentum(by_control, by_text)


def rescaled(
    x: Tensor, guided: Tensor, both: Tensor, level: Tensor | float, share: float
) -> Tensor:
    """The guided velocity, moved by `share` to one whose x_0 has each channel's mean and deviation
    from the x_0 of `both`, the velocity with text and control.

    `level`: a number, or broadcast against x; where it is 0 the guided velocity stays. Lin et al.
    2023 (arXiv 2305.08891, eq. 15 and 16) match the deviation of the whole; a latent's mean is
    brightness and overshoots alike.
    """
    if not share:
        return guided
    clean, aim = (clean_from_velocity(x, velocity, level) for velocity in (guided, both))
    axes = tuple(axis for axis in range(1, x.ndim) if axis != CHANNEL_AXIS)
    mean, wanted = (part.mean(axes, keepdim=True) for part in (clean, aim))
    spread, meant = (part.std(axes, keepdim=True) for part in (clean, aim))
    matched = (clean - mean) * (meant / spread.clamp_min(1e-6)) + wanted
    limited = (x - torch.lerp(clean, matched, share)) / level
    # At level 0 x is clean, and no velocity can move it.
    return torch.where(torch.as_tensor(level, device=x.device) > 0, limited, guided)


def _accumulate(difference: Tensor, running: Tensor | None, momentum: float) -> Tensor:
    return difference if running is None else difference + momentum * running


def _project(difference: Tensor, reference: Tensor, config: GuidanceConfig) -> Tensor:
    """Shorten to the threshold; split along the reference, in float64; keep eta of the parallel."""
    axes = tuple(range(1, difference.ndim))
    difference64, reference64 = difference.double(), reference.double()
    if config.norm_threshold is not None:
        norm = torch.linalg.vector_norm(difference64, dim=axes, keepdim=True)
        difference64 = difference64 * (config.norm_threshold / norm.clamp_min(1e-12)).clamp_max(1)
    square = (reference64 * reference64).sum(axes, keepdim=True).clamp_min(1e-24)
    parallel = (difference64 * reference64).sum(axes, keepdim=True) / square * reference64
    return (difference64 - parallel + config.eta * parallel).to(difference.dtype)
