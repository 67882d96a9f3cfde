"""Boxes that move over a street: a source that needs no library, no file and no display."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from c2r.clips.fit import check_rate, check_shape
from c2r.wire import CoarseFrame
from c2r.wire.formats import Image
from engine_bridge.client.clock import Clock, monotonic_us
from engine_bridge.sources.source import numbered

SKY, STREET = (150, 190, 230), (92, 92, 96)
MOST_SPEED = 0.25
"""Of a box, frame widths a second."""


class SyntheticSource:
    """Endless; the same arguments give the same images. `boxes` of them, drawn from `seed`."""

    def __init__(
        self,
        width: int,
        height: int,
        fps: float,
        *,
        seed: int = 0,
        boxes: int = 8,
        clock: Clock = monotonic_us,
    ) -> None:
        check_shape(width, height)
        check_rate(fps)
        self.width, self.height, self.fps = width, height, fps
        self._clock = clock
        rng = np.random.default_rng(seed)
        self._start = rng.uniform(0, 1, boxes)
        self._speed = rng.uniform(-MOST_SPEED, MOST_SPEED, boxes)
        self._depth = np.sort(rng.uniform(0.2, 1.0, boxes))
        self._colour = rng.integers(40, 230, (boxes, 3), dtype=np.uint8)

    def __iter__(self) -> Iterator[CoarseFrame]:
        return numbered(self._images(), self.fps, self._clock)

    def close(self) -> None:
        """Nothing to give back."""

    def image(self, index: int) -> Image:
        """The image [H, W, 3] of one frame: sky, street, and boxes, the far ones first."""
        image = np.empty((self.height, self.width, 3), np.uint8)
        horizon = self.height // 2
        image[:horizon], image[horizon:] = SKY, STREET
        for start, speed, depth, colour in zip(
            self._start, self._speed, self._depth, self._colour, strict=True
        ):
            centre = (start + speed * index / self.fps) % 1.0 * self.width
            left, right = centre - 0.05 * depth * self.width, centre + 0.05 * depth * self.width
            bottom = horizon + 0.45 * depth * self.height
            top = bottom - 0.5 * depth * self.height
            image[_span(top, bottom), _span(left, right)] = colour
        return image

    def _images(self) -> Iterator[Image]:
        index = 0
        while True:
            yield self.image(index)
            index += 1


def _span(low: float, high: float) -> slice:
    return slice(max(0, round(low)), max(0, round(high)))
