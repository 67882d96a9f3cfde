"""What a viewer sees first: is it as bright, as colourful and as sharp as the fine render?

Distances of features can miss a clip that is half as bright as it should be; these cannot.

F frames of a clip, H W pixel rows and columns.
"""

from __future__ import annotations

import numpy as np

from trainer.evaluate.videos import Frames, luma

BINS = 32
"""Of a colour channel's histogram: steps of 8 levels."""


def brightness_shift(frames: Frames, fine: Frames) -> float:
    """Mean luma of a clip `[F, H, W, 3]` less that of the fine one, -1 to 1; 0 is best."""
    return float(luma(frames).mean() - luma(fine).mean())


def histogram_error(frames: Frames, fine: Frames) -> float:
    """Total variation distance of colour histograms, mean of the channels: 0 equal, 1 apart."""
    apart = [
        np.abs(_histogram(frames[..., channel]) - _histogram(fine[..., channel])).sum() / 2
        for channel in range(3)
    ]
    return float(np.mean(apart))


def sharpness_ratio(frames: Frames, fine: Frames) -> float | None:
    """Mean size of luma's steps to the next pixel, over that of the fine render; 1 is best.

    None for a fine render without any step.
    """
    reference = _steps(fine)
    return None if reference == 0 else _steps(frames) / reference


def _histogram(values: np.ndarray) -> np.ndarray:
    counts = np.bincount((values // (256 // BINS)).ravel(), minlength=BINS)
    return counts / counts.sum()


def _steps(frames: Frames) -> float:
    plane = luma(frames)
    across, down = np.diff(plane, axis=-1), np.diff(plane, axis=-2)
    return float((np.abs(across).mean() + np.abs(down).mean()) / 2)
