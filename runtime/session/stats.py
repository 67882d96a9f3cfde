"""A session in numbers: every frame counted once, and the spread of its latency."""

from __future__ import annotations

import math
from collections import Counter

from c2r.wire.events import SessionStatistics
from c2r.wire.replies import DroppedFrame, FrameReply, RenderedFrame

_STEP = math.log(1.01)
"""Latencies are kept to 1 %, so that a session of days takes no more memory than one of minutes."""
_LEAST_MS = 0.01


class SessionStats:
    """Counts frames in and replies out."""

    def __init__(self, begun_s: float) -> None:
        self.begun_s = begun_s
        self.received = 0
        self.rendered = 0
        self.dropped = 0
        self.failed = 0
        self.chunks = 0
        self._latencies: Counter[int] = Counter()

    def __str__(self) -> str:
        return (
            f"{self.received} frames: {self.rendered} rendered in {self.chunks} chunks, "
            f"{self.dropped} dropped, {self.failed} failed"
        )

    def answer(self, reply: FrameReply, latency_ms: float) -> None:
        """One reply; the latency counts for rendered frames only."""
        if isinstance(reply, RenderedFrame):
            self.rendered += 1
            self._latencies[math.ceil(math.log(max(latency_ms, _LEAST_MS)) / _STEP)] += 1
        elif isinstance(reply, DroppedFrame):
            self.dropped += 1
        else:
            self.failed += 1

    def latency_ms(self, share: float) -> float:
        """Milliseconds that this share of the rendered frames did not exceed; 0 without any."""
        wanted, seen = share * self._latencies.total(), 0
        for bucket in sorted(self._latencies):
            seen += self._latencies[bucket]
            if seen >= wanted:
                return math.exp(bucket * _STEP)
        return 0.0

    def statistics(self, now_s: float) -> SessionStatistics:
        """The numbers so far."""
        return SessionStatistics(
            frames_received=self.received,
            frames_rendered=self.rendered,
            frames_dropped=self.dropped,
            frames_failed=self.failed,
            chunks=self.chunks,
            duration_s=max(0.0, now_s - self.begun_s),
            latency_p50_ms=self.latency_ms(0.5),
            latency_p90_ms=self.latency_ms(0.9),
            latency_p99_ms=self.latency_ms(0.99),
        )
