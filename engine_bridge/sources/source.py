"""What every source of coarse frames is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from c2r.wire import CoarseFrame, ResetReason
from c2r.wire.formats import Image
from engine_bridge.client.clock import Clock


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
