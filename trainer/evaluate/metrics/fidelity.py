"""How near a video is to the fine render, pixel by pixel: PSNR and SSIM, by torchmetrics."""

from __future__ import annotations

import numpy as np
import torch
from torchmetrics.functional.image import (
    peak_signal_noise_ratio,
    structural_similarity_index_measure,
)

from trainer.evaluate.videos import Pictures, as_frames


def psnr(pictures: Pictures, fine: Pictures) -> float | None:
    """`10 log10(1 / MSE)` in dB over all pixels of the clip `[F, H, W, 3]`, signals in [0, 1].

    None for equal clips, whose PSNR is infinite. Up is better.
    """
    if np.array_equal(pictures, fine):
        return None
    pair = (as_frames(pictures).float() / 255, as_frames(fine).float() / 255)
    return float(peak_signal_noise_ratio(*pair, data_range=1.0))


def ssim(pictures: Pictures, fine: Pictures) -> float:
    """Mean SSIM of the frames `[F, H, W, 3]`, in [-1, 1], up is better.

    Wang et al. 2004: Gaussian window of 11 pixels and sigma 1.5, K = 0.01 and 0.03, borders
    mirrored, colour channels averaged. Frames are compared a few at a time, to bound memory.
    """
    total = 0.0
    pairs = zip(as_frames(pictures).split(8), as_frames(fine).split(8), strict=True)
    for ours, theirs in pairs:
        value = structural_similarity_index_measure(
            ours.float() / 255, theirs.float() / 255, data_range=1.0
        )
        assert isinstance(value, torch.Tensor)
        total += float(value) * len(ours)
    return total / len(pictures)
