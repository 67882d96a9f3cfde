"""How much neighbouring frames differ: temporal flickering as VBench defines it."""

from __future__ import annotations

import numpy as np

from trainer.evaluate.videos import Pictures


def flicker(pictures: Pictures) -> float | None:
    """Mean absolute difference of neighbouring frames `[F, H, W, 3]`, in levels of 255.

    VBench (Huang et al. 2024) reports `(255 - this) / 255`. Motion counts too, so it is read
    against the fine render's; down is steadier. None for a single frame.
    """
    if len(pictures) < 2:
        return None
    steps = zip(pictures[1:].astype(np.int16), pictures[:-1].astype(np.int16), strict=True)
    return float(np.mean([np.abs(now - before).mean() for now, before in steps]))
