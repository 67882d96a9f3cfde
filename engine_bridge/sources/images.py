"""A folder of images as coarse frames, one a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from c2r.clips.fit import check_rate
from c2r.clips.images import ImageClip
from c2r.wire import CoarseFrame
from engine_bridge.client.clock import Clock, monotonic_us
from engine_bridge.sources.source import numbered


class ImageFolder:
    """The images in `folder`; see `ImageClip` for the rule of sizes and for errors."""

    def __init__(
        self, folder: Path, width: int, height: int, fps: float, *, clock: Clock = monotonic_us
    ) -> None:
        check_rate(fps)
        self._clip = ImageClip(folder, width, height)
        self.width, self.height, self.fps = width, height, fps
        self._clock = clock

    def __len__(self) -> int:
        return len(self._clip)

    def __iter__(self) -> Iterator[CoarseFrame]:
        return numbered(iter(self._clip), self.fps, self._clock)

    def close(self) -> None:
        """Nothing stays open between frames."""
