"""Decoded frames kept in memory: decoding a clip takes longer than most steps on a GPU."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Any

from numpy.typing import NDArray

Array = NDArray[Any]


class RecentFrames:
    """Decoded frames by file, or by file and window: the most recently used within a number of
    bytes. Thread-safe.
    """

    def __init__(self, most_bytes: float) -> None:
        self.most_bytes = most_bytes
        self._held: OrderedDict[Path, Array] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, path: Path, read: Callable[[Path], Array]) -> Array:
        """The frames of `path`, from memory or freshly read.

        The lock is not held while reading: two threads may read one file at once, and the first
        result is kept.
        """
        with self._lock:
            if path in self._held:
                self._held.move_to_end(path)
                return self._held[path]
        frames = read(path)
        with self._lock:
            if path not in self._held:
                self._held[path] = frames
                self._bytes += frames.nbytes
            while self._bytes > self.most_bytes:
                _, oldest = self._held.popitem(last=False)
                self._bytes -= oldest.nbytes
        return frames
