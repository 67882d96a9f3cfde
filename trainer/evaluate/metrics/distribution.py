"""Distances between two sets of frames: KID and FID, computed by torchmetrics.

The feature extractor has run before (`features.py`); here are only vectors.

N frames, d width of a vector.
"""

from __future__ import annotations

import warnings

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

SUBSETS, SUBSET_SIZE = 100, 1000
"""As published: 100 draws of 1000 frames. A smaller set is used whole, once."""
SEED = 0
"""Of the draws, so that every system is compared on the same ones."""


class Given(nn.Module):
    """Passes on vectors that were made before."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, vectors: Tensor) -> Tensor:
        """`[N, d]`, as it came."""
        return vectors


def _check(real: Tensor, other: Tensor) -> None:
    if min(len(real), len(other)) < 2:
        raise ValueError(
            f"KID and FID compare sets of at least 2 frames, not {len(real)} and {len(other)}"
        )
    if real.shape[1] != other.shape[1]:
        raise ValueError(
            f"vectors are {real.shape[1]} and {other.shape[1]} wide; use one extractor"
        )


def kid(real: Tensor, other: Tensor) -> tuple[float, float]:
    """Kernel distance of `[N, d]` and `[M, d]` and its deviation over the draws; down is better.

    Binkowski et al. 2018: unbiased MMD squared with the kernel `(x y / d + 1)^3`. About 0, and
    possibly below, for two sets of one distribution; no upper bound.
    """
    _check(real, other)
    size = min(SUBSET_SIZE, len(real), len(other))
    whole = size == len(real) == len(other)
    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]):
        warnings.filterwarnings("ignore", message=".*save all extracted features.*")
        torch.manual_seed(SEED)
        metric = KernelInceptionDistance(
            Given(real.shape[1]), subsets=1 if whole else SUBSETS, subset_size=size
        )
        metric.update(real.double(), real=True)
        metric.update(other.double(), real=False)
        mean, deviation = metric.compute()
    return float(mean), float(deviation)


def fid(real: Tensor, other: Tensor) -> float:
    """Fréchet distance of Gaussians fitted to `[N, d]` and `[M, d]`; 0 is best.

    Heusel et al. 2017: `|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^0.5)`. Biased upwards for few frames,
    strongly where N is not much above d: compare at equal N only.
    """
    _check(real, other)
    metric = FrechetInceptionDistance(Given(real.shape[1]))
    metric.set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(other.double(), real=False)
    return float(metric.compute())
