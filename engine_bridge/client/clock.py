"""The engine's clock: microseconds that only go up, for capture times and for pacing."""

from __future__ import annotations

import time
from collections.abc import Callable

Clock = Callable[[], int]
"""Microseconds of some clock that never goes back."""


def monotonic_us() -> int:
    """Microseconds since an arbitrary start; finer than a millisecond on Windows too."""
    return time.perf_counter_ns() // 1000
