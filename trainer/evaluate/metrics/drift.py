"""Drift: does a long video end as it began? Imaging statistics, segment by segment.

F frames of a video, S segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trainer.evaluate.metrics.structure import edge_strength
from trainer.evaluate.videos import Frames, luma

SEGMENTS = 30
END_SECONDS = 10.0
"""Seconds at either end that are compared; a sixth of a video shorter than a minute."""
LEAST = 0.01
"""Size below which a statistic's changes are no longer relative: two levels of 255."""
STATISTICS = ("brightness", "contrast", "saturation", "sharpness")


@dataclass(frozen=True)
class Drift:
    """How a video's end differs from its beginning.

    `segments`: each statistic's mean in each of S equal stretches. `change`: relative
    change of each. `largest`: the largest of these, the drift. `end`: each statistic's mean over
    the last frames; `end_frames`: how many these are, and the first ones.
    """

    segments: Mapping[str, tuple[float, ...]]
    change: Mapping[str, float]
    largest: float
    end: Mapping[str, float]
    end_frames: int


def imaging_statistics(frame: Frames) -> tuple[float, float, float, float]:
    """Brightness, contrast, saturation and sharpness of one frame `[H, W, 3]`, each from 0 up.

    Mean and deviation of luma in [0, 1]; mean of HSV's saturation; mean Sobel gradient of luma.
    """
    plane = luma(frame)
    largest = frame.max(axis=-1).astype(np.float32)
    spread = largest - frame.min(axis=-1)
    saturation = np.divide(spread, largest, out=np.zeros_like(spread), where=largest > 0)
    sharpness = float(edge_strength(plane).mean())
    return float(plane.mean()), float(plane.std()), float(saturation.mean()), sharpness


def end_length(frames: int, fps: float) -> int:
    """Frames at either end that are compared: ten seconds, or a sixth where that is less."""
    return max(1, min(round(END_SECONDS * fps), frames // 6))


def change(begin: float, end: float) -> float:
    """`|end - begin| / max(begin, 0.01)`: relative, but not to almost nothing."""
    return abs(end - begin) / max(begin, LEAST)


def drift(statistics: Sequence[Sequence[float]], fps: float) -> Drift:
    """Drift of a video from the `imaging_statistics` of its frames, `[F, 4]`.

    `ValueError` for fewer than two frames.
    """
    rows = np.array(statistics, np.float64)
    if len(rows) < 2:
        raise ValueError(f"drift compares a video's ends; {len(rows)} frame has none")
    count = end_length(len(rows), fps)
    begin, end = rows[:count].mean(axis=0), rows[-count:].mean(axis=0)
    parts = np.array_split(rows, min(SEGMENTS, len(rows)))
    means = np.array([part.mean(axis=0) for part in parts])
    segments = {
        name: tuple(float(mean) for mean in means[:, place])
        for place, name in enumerate(STATISTICS)
    }
    changes = {
        name: change(float(begin[place]), float(end[place]))
        for place, name in enumerate(STATISTICS)
    }
    ending = {name: float(end[place]) for place, name in enumerate(STATISTICS)}
    return Drift(segments, changes, max(changes.values()), ending, count)


def drift_of(frames: Frames, fps: float) -> float | None:
    """The largest change of a short clip `[F, H, W, 3]`; None for a single frame."""
    if len(frames) < 2:
        return None
    return drift([imaging_statistics(frame) for frame in frames], fps).largest
