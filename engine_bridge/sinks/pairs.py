"""Puts coarse frames beside the pictures that came back for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2r.wire import CoarseFrame, FrameReply, RenderedFrame

CAPACITY = 128
"""Coarse frames kept for their pictures; beyond that the oldest is forgotten."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One frame before and after: [H, W, 3] uint8 each."""

    frame_id: int
    capture_time_us: int
    coarse: NDArray[np.uint8]
    picture: NDArray[np.uint8]


class Pairs:
    """Keeps the coarse image of every frame until its outcome comes."""

    def __init__(self) -> None:
        self._coarse: dict[int, NDArray[np.uint8]] = {}

    def keep(self, frame: CoarseFrame) -> None:
        """A frame is on its way."""
        self._coarse[frame.frame_id] = frame.rgb
        if len(self._coarse) > CAPACITY:
            del self._coarse[next(iter(self._coarse))]

    def match(self, reply: FrameReply) -> Pair | None:
        """The pair of a rendered frame; None for any other outcome."""
        coarse = self._coarse.pop(reply.frame_id, None)
        if coarse is None or not isinstance(reply, RenderedFrame):
            return None
        return Pair(reply.frame_id, reply.capture_time_us, coarse, reply.rgb)

    def __len__(self) -> int:
        return len(self._coarse)
