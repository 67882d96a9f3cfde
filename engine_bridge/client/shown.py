"""What reached the screen, as the server is told: set by whoever shows pictures."""

from __future__ import annotations

import threading

from c2r.wire.events import Feedback
from engine_bridge.client.clock import Clock

SMOOTHING = 0.1


class Shown:
    """The last picture shown and running means about showing. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._frame_id: int | None = None
        self._latency_ms = self._buffer_ms = 0.0

    def report(self, frame_id: int, capture_time_us: int, buffer_ms: float) -> None:
        """A picture is on the screen now; `buffer_ms` of play wait behind it."""
        latency = max(0.0, (self._clock() - capture_time_us) / 1000)
        with self._lock:
            first = self._frame_id is None
            weight = 1.0 if first else SMOOTHING
            self._frame_id = frame_id
            self._latency_ms += weight * (latency - self._latency_ms)
            self._buffer_ms += weight * (max(0.0, buffer_ms) - self._buffer_ms)

    def feedback(self, *, decode_ms: float, frames_unsent: int, keyframe_wanted: bool) -> Feedback:
        """The message for the server."""
        with self._lock:
            return Feedback(
                displayed_frame_id=self._frame_id,
                decode_ms=decode_ms,
                jitter_buffer_ms=self._buffer_ms,
                latency_ms=self._latency_ms,
                frames_unsent=frames_unsent,
                keyframe_wanted=keyframe_wanted,
            )
