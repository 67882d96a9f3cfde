"""A video file as coarse frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from c2r.clips.video import VideoClip
from c2r.wire import CoarseFrame
from engine_bridge.client.clock import Clock, monotonic_us
from engine_bridge.sources.source import numbered


class VideoFile:
    """The first video track of `path`; see `VideoClip` for times, sizes and errors."""

    def __init__(
        self, path: Path, width: int, height: int, fps: float, *, clock: Clock = monotonic_us
    ) -> None:
        self._clip = VideoClip(path, width, height, fps)
        self.width, self.height, self.fps = width, height, fps
        self._clock = clock

    def __iter__(self) -> Iterator[CoarseFrame]:
        return numbered(iter(self._clip), self.fps, self._clock)

    def close(self) -> None:
        """The file is open only while it is iterated over."""
