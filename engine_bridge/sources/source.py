"""What every source of coarse frames is, and how a picture of another shape is made to fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

from c2r.wire import CoarseFrame, ResetReason
from c2r.wire.formats import Image
from engine_bridge.clock import Clock


class Source(Protocol):
    """Coarse frames of one size: `for frame in source`, each drawn when it is asked for.

    Frame ids go up by one. `capture_time_us` is the engine's clock when the frame was made,
    `frame_delta_ms` the time between frames in the source's own world, `1000 / fps`.
    """

    @property
    def width(self) -> int:
        """Pixels."""
        ...

    @property
    def height(self) -> int:
        """Pixels."""
        ...

    @property
    def fps(self) -> float:
        """Frames a second of the source's own world."""
        ...

    def __iter__(self) -> Iterator[CoarseFrame]: ...

    def close(self) -> None:
        """Give back files and windows; closing twice is no error."""
        ...


def check_shape(width: int, height: int, fps: float) -> None:
    """ValueError for an empty picture or a rate that is none."""
    if width < 1 or height < 1:
        raise ValueError(f"a frame of {width}x{height} pixels is empty; give a positive size")
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is {fps}; give a positive number of frames a second")


def cover(have: tuple[int, int], want: tuple[int, int]) -> tuple[int, int, int, int]:
    """The largest box in the middle of `have` (width, height) with the proportions of `want`.

    Gives left, top, width, height. Cropping to it and scaling fills `want` without stretching: what
    does not fit is cut off, half on either side.
    """
    scale = min(have[0] / want[0], have[1] / want[1])
    width = min(have[0], max(1, round(want[0] * scale)))
    height = min(have[1], max(1, round(want[1] * scale)))
    return (have[0] - width) // 2, (have[1] - height) // 2, width, height


def numbered(images: Iterator[Image], fps: float, clock: Clock) -> Iterator[CoarseFrame]:
    """Frames of a clip; the first one begins anew."""
    for index, rgb in enumerate(images):
        yield CoarseFrame(
            frame_id=index,
            capture_time_us=clock(),
            rgb=rgb,
            frame_delta_ms=1000 / fps if index else 0.0,
            reset=None if index else ResetReason.CUT,
        )
