"""The quality of a clip in numbers, and which of them are beyond their limits.

Brightness is the luma of the sRGB frame, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from c2r.clips.fit import Image
from trainer.data.curate.segments import Segment
from trainer.data.curate.settings import CurateSettings

Luma = NDArray[np.float32]

_SMALL = 208
"""Width at which motion and brightness are measured: noise averages out."""
_MIDDLE = 416
"""Width at which overlays are looked for: thin letters survive."""
_SAMPLED_FRAMES = 16
"""Frames, evenly spaced, on which sharpness and overlays are measured."""
_BLACK = 0.09
"""Bars are no brighter than this at any time (limited-range black with the codec's noise)."""
_EDGE = 0.06
"""A difference of neighbouring pixels that counts as an edge."""
_STEADY = 1.5
"""An edge stays when its mean gradient is that many times the gradient's deviation."""
_LETTER = 7
"""Pixels within which edges of both directions are found in a letter."""
_BORDER = 0.22
"""Width of the border of a frame, where logos and subtitles are. Straight ahead of a moving camera,
in the middle, true edges stay in place too."""


REASONS = {
    "unreadable": "no frame can be decoded",
    "no video": "there is no video track",
    "hdr": "high dynamic range, not tone-mapped",
    "crashed": "the decoder crashed its process",
    "damaged": "decoding stopped here; what came before was used",
    "short": "a scene shorter than a clip",
    "remainder": "what a scene leaves after its last whole clip",
    "small": "it would have to be enlarged too much",
    "dark": "hardly any light",
    "overexposed": "large parts are burnt out",
    "letterbox": "black bars",
    "still": "hardly anything moves",
    "choppy": "frames are repeated",
    "blurred": "no detail",
    "overlaid": "a logo, a subtitle or a frame stays while the scene moves",
    "caption": "the caption is empty or too long for the manifest",
}
"""Every reason for which a file or a part of one is left out."""


@dataclass(frozen=True)
class Measured:
    """The values of a clip; `settings.FilterSettings` says what each means and its limit."""

    motion: float
    bright: float
    clipped: float
    sharpness: float
    bars: float
    overlay: float
    static: float
    repeated: float
    upscale: float


def measure(segment: Segment, fps: float) -> Measured:
    """Measure a segment of at least two frames."""
    luma = [_luma(frame) for frame in segment.frames]
    chosen = np.unique(np.linspace(0, len(luma) - 1, _SAMPLED_FRAMES).round().astype(int))
    small = _scaled(luma, _SMALL)
    middle = _scaled([luma[index] for index in chosen], _MIDDLE)
    overlay, static = _overlay(middle)
    return Measured(
        motion=_motion(small, max(1, round(fps / 4))),
        bright=float(np.percentile(small, 95)),
        clipped=float((small >= 0.98).mean()),
        sharpness=float(np.median([_sharpness(luma[index]) for index in chosen])),
        bars=_bars(middle.max(0)),
        overlay=overlay,
        static=static,
        repeated=segment.repeated / len(luma),
        upscale=segment.upscale,
    )


def judge(measured: Measured, settings: CurateSettings) -> list[str]:
    """The names of all limits that a clip is beyond; empty for a clip to keep."""
    limits = settings.filters
    moving = measured.static <= limits.max_static
    beyond = {
        "small": measured.upscale > settings.max_upscale,
        "dark": measured.bright < limits.min_bright,
        "overexposed": measured.clipped > limits.max_clipped,
        "letterbox": measured.bars > limits.max_bars,
        "still": measured.motion < limits.min_motion,
        "choppy": measured.repeated > limits.max_repeated,
        "blurred": measured.sharpness < limits.min_sharpness,
        "overlaid": moving and measured.overlay > limits.max_overlay,
    }
    assert beyond.keys() <= REASONS.keys()
    return [name for name, is_beyond in beyond.items() if is_beyond]


def _luma(frame: Image) -> NDArray[np.uint8]:
    grey: NDArray[np.uint8] = np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)
    return grey


def _scaled(luma: list[NDArray[np.uint8]], width: int) -> Luma:
    """`[F, h, w]` at a width, never enlarged."""
    factor = min(1.0, width / luma[0].shape[1])
    size = round(luma[0].shape[1] * factor), max(1, round(luma[0].shape[0] * factor))
    reduced = [cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in luma]
    return np.stack(reduced).astype(np.float32) / np.float32(255)


def _motion(small: Luma, step: int) -> float:
    """Mean change of brightness over `step` frames."""
    step = min(step, len(small) - 1)
    return float(np.abs(small[step:] - small[:-step]).mean())


def _sharpness(luma: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian over the variance: contrast alone makes nothing sharp.

    Smoothed by a pixel first: otherwise codec noise is all that is measured in soft footage.
    """
    smooth = cv2.GaussianBlur(luma.astype(np.float32), (0, 0), 1.0)
    spread = float(smooth.var())
    return float(cv2.Laplacian(smooth, cv2.CV_32F).var()) / spread if spread > 1 else 0.0


def _bars(brightest: Luma) -> float:
    """The larger share of height or width in bars, from `[h, w]`, each pixel at its brightest."""
    rows, columns = brightest.max(1) < _BLACK, brightest.max(0) < _BLACK
    return max(_outer(rows), _outer(columns))


def _outer(black: NDArray[np.bool_]) -> float:
    """The share of a row of flags that is true from either end inwards; all true is no bar."""
    if black.all():
        return 0.0
    return float(black.argmin() + black[::-1].argmin()) / len(black)


def _overlay(chosen: Luma) -> tuple[float, float]:
    """Share of the border whose edges stay; share of those in the middle that stay.

    The gradient of an edge that stays is nearly the same each time; of a scene that moves past, it
    is another one each time and its mean vanishes. A ledge stays too while a camera pans along it,
    so only places count where edges of both directions meet, as in letters.
    """
    gradients: list[Luma] = [np.gradient(chosen, axis=axis) for axis in (1, 2)]
    stay = _meet([_stays(one) for one in gradients])
    there = _meet([np.sqrt((one**2).mean(0)) > _EDGE for one in gradients])
    outer = np.ones(stay.shape, dtype=bool)
    top, left = round(stay.shape[0] * _BORDER), round(stay.shape[1] * _BORDER)
    outer[top:-top, left:-left] = False
    return float(stay[outer].mean()), float(stay[~outer].sum() / max(1, there[~outer].sum()))


def _stays(gradient: Luma) -> NDArray[np.bool_]:
    """Where a gradient `[F, h, w]` is strong and hardly changes."""
    mean, spread = np.abs(gradient.mean(0)), gradient.std(0)
    stays: NDArray[np.bool_] = (mean > _EDGE) & (mean > _STEADY * spread)
    return stays


def _meet(edges: Sequence[NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Where edges of either direction have some of both close by."""
    reach = np.ones((_LETTER, _LETTER), np.uint8)
    near = [cv2.dilate(one.astype(np.uint8), reach) > 0 for one in edges]
    met: NDArray[np.bool_] = (edges[0] | edges[1]) & near[0] & near[1]
    return met
