"""Distance to reference frames, by torchmetrics: PSNR and SSIM frame by frame, KID and FID of sets.

KID and FID take vectors; what makes them of frames is in `features.py`.

N frames of a set, d width of a vector; F frames of a clip, H W pixel rows and columns.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.kid import KernelInceptionDistance

from trainer.evaluate.videos import Frames, as_tensor

SUBSETS, SUBSET_SIZE = 100, 1000
"""As published: 100 draws of 1000 frames. A smaller set is used whole, once."""
SEED = 0
"""Seed of the draws, so that every system is compared on the same ones."""


class PrecomputedFeatures(nn.Module):
    """Stands in for torchmetrics' network where the vectors are made before."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, vectors: Tensor) -> Tensor:
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
            PrecomputedFeatures(real.shape[1]), subsets=1 if whole else SUBSETS, subset_size=size
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
    metric = FrechetInceptionDistance(PrecomputedFeatures(real.shape[1]))
    metric.set_dtype(torch.float64)
    metric.update(real.double(), real=True)
    metric.update(other.double(), real=False)
    return float(metric.compute())


def psnr(frames: Frames, fine: Frames) -> float | None:
    """`10 log10(1 / MSE)` in dB over all pixels of the clip `[F, H, W, 3]`, signals in [0, 1].

    None for equal clips, whose PSNR is infinite. Up is better.
    """
    if np.array_equal(frames, fine):
        return None
    pair = (as_tensor(frames).float() / 255, as_tensor(fine).float() / 255)
    return float(peak_signal_noise_ratio(*pair, data_range=1.0))


def ssim(frames: Frames, fine: Frames) -> float:
    """Mean SSIM of the frames `[F, H, W, 3]`, in [-1, 1], up is better.

    Wang et al. 2004: Gaussian window of 11 pixels and sigma 1.5, K = 0.01 and 0.03, borders
    mirrored, colour channels averaged. Frames are compared a few at a time, to bound memory.
    """
    total = 0.0
    pairs = zip(as_tensor(frames).split(8), as_tensor(fine).split(8), strict=True)
    for ours, theirs in pairs:
        value = structural_similarity_index_measure(
            ours.float() / 255, theirs.float() / 255, data_range=1.0
        )
        assert isinstance(value, torch.Tensor)
        total += float(value) * len(ours)
    return total / len(frames)
