"""Watches for artefacts of computer graphics in samples.

A model trained on pairs of coarse and fine renders can learn their flat textures and even light
instead of the real video's.

Three measures, each compared with the same measure of real clips, whose mean and spread are taken
once. They are this project's own and simple on purpose: a warning to look at the samples, not a
score of quality.

Shapes: F frames, H W rows and columns; frames are RGB in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional as F

PATCH = 8
FLAT = 0.012
"""Standard deviation of a patch's luma below which it has no texture (3 of 255 levels)."""
STRONG = 0.12
"""Luma step between neighbours that is an edge."""
LIGHT = 4
"""A frame's light is its luma at LIGHT x LIGHT cells."""
SPREADS = 2.0
"""A measure is worth a warning beyond so many of the real clips' standard deviations."""
LEAST_SPREAD = 0.02


@dataclass(frozen=True)
class ArtefactMeasures:
    """`flatness`: share of patches without texture. `uniformity`: 1 / (1 + 10 x spread of light
    over the frame). `leakage`: share of the guide's edges at which the frame has an edge between
    two flat sides, as a drawn outline has.
    """

    flatness: float
    uniformity: float
    leakage: float


def _luma(frames: Tensor) -> Tensor:
    """`[F, 3, H, W]` -> `[F, 1, H, W]`, BT.709."""
    weights = torch.tensor([0.2126, 0.7152, 0.0722], device=frames.device)
    return (frames * weights[:, None, None]).sum(1, keepdim=True)


def _edges(luma: Tensor) -> Tensor:
    """Where luma steps to the right-hand neighbour, `[F, 1, H, W-1]`."""
    return (luma[..., 1:] - luma[..., :-1]).abs() > STRONG


def _outlines(luma: Tensor) -> Tensor:
    """Edges both of whose sides are flat: the neighbours beyond the step hardly differ."""
    steps = (luma[..., 1:] - luma[..., :-1]).abs()
    calm = F.pad((steps < FLAT).float(), (1, 1), value=1.0)
    return _edges(luma) & (calm[..., :-2] * calm[..., 2:] > 0)


def measure_artefacts(frames: Tensor, guide: Tensor | None = None) -> ArtefactMeasures:
    """Measure frames `[F, 3, H, W]` in [0, 1]; `guide`: their coarse frames, or themselves."""
    luma = _luma(frames.float())
    mean = F.avg_pool2d(luma, PATCH)
    spread = (F.avg_pool2d(luma.square(), PATCH) - mean.square()).clamp_min(0).sqrt()
    light = F.adaptive_avg_pool2d(luma, LIGHT).flatten(1).std(1).mean()
    lines = _edges(luma if guide is None else _luma(guide.float()))
    outlines = _outlines(luma) & lines
    return ArtefactMeasures(
        flatness=float((spread < FLAT).float().mean()),
        uniformity=float(1 / (1 + 10 * light)),
        leakage=float(outlines.sum() / lines.sum().clamp_min(1)),
    )


ADVICE = {
    "flatness": "textures are flatter than the real clips': lower data.cg_ratio, or lengthen "
    "phase align on real video",
    "uniformity": "the light is more even than in the real clips: lower data.cg_ratio, or give the "
    "pairs more hours and weathers",
    "leakage": "outlines of the coarse frames show: raise data.jitter, lower the control's "
    "first_scale, or train phase ground for fewer steps",
}


class Monitor:
    """Compares samples with the real clips it was made from (two or more)."""

    def __init__(self, real: Sequence[ArtefactMeasures]) -> None:
        assert len(real) >= 2, "a spread needs two clips"
        self.means, self.spreads = {}, {}
        for item in fields(ArtefactMeasures):
            values = torch.tensor([getattr(one, item.name) for one in real])
            self.means[item.name] = float(values.mean())
            self.spreads[item.name] = max(LEAST_SPREAD, float(values.std()))

    def excess(self, sample: ArtefactMeasures) -> dict[str, float]:
        """How many spreads each measure lies above the real clips' mean."""
        return {
            name: (getattr(sample, name) - mean) / self.spreads[name]
            for name, mean in self.means.items()
        }

    def advice(self, sample: ArtefactMeasures) -> list[str]:
        """A sentence for each measure that is well above the real clips'; none when all is well."""
        return [
            f"{name} {getattr(sample, name):.3f} (real {self.means[name]:.3f}): {ADVICE[name]}"
            for name, value in self.excess(sample).items()
            if value > SPREADS
        ]
