"""Coarse frames with the rendered frames that came back for them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2r.wire import CoarseFrame, FrameReply, RenderedFrame
from c2r.wire.formats import Image

CAPACITY = 128
"""Coarse frames kept for their outcome; beyond that the oldest is dropped."""


@dataclass(frozen=True, eq=False)
class Pair:
    """One frame before and after: [H, W, 3] uint8 each."""

    frame_id: int
    capture_time_us: int
    coarse: NDArray[np.uint8]
    rendered: NDArray[np.uint8]


class PairMatcher:
    """Keeps the coarse image of every frame until its outcome comes."""

    def __init__(self) -> None:
        self._coarse: dict[int, NDArray[np.uint8]] = {}

    def keep(self, frame: CoarseFrame) -> None:
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


def side_by_side(coarse: Image, rendered: Image, *, gap: int = 0) -> Image:
    """[H, W + gap + W, 3] of two images [H, W, 3]; `gap` white pixels between them.

    ValueError unless both have the same size.
    """
    if coarse.shape != rendered.shape:
        sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (coarse, rendered)]
        raise ValueError(
            f"the coarse frame is {sizes[0]}, the rendered one {sizes[1]}; give equal sizes"
        )
    between = np.full((coarse.shape[0], gap, 3), 255, np.uint8)
    return np.concatenate([coarse, between, rendered], axis=1)
