"""A client in numbers: rates, latency, bytes. Bounded memory; safe to use from any thread."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from c2r.wire import DropReason, RenderedFrame
from c2r.wire.replies import StageTimes
from engine_bridge.client.account import Counts
from engine_bridge.client.clock import Clock

RATE_US = 3_000_000
"""Rates are those of the last three seconds."""
KEPT = 4096
"""Latencies and stage times that percentiles are made of, the newest ones."""
SMOOTHING = 0.1
STAGES = tuple(field.name for field in fields(StageTimes))


@dataclass(frozen=True)
class Percentiles:
    """Half of the values are up to `p50`, and so on; 0 where there are no values."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        """By nearest rank."""
        ordered = sorted(values)
        return cls(*(_rank(ordered, share) for share in (0.5, 0.9, 0.99)))


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class ClientStatistics:
    """Since the client began. `counts` of frames; rates in frames a second, lately.

    `fps_steady`: pictures a second from the end of the first chunk to the end of the last.
    `latency_ms` goes from capture to the picture in hand, decoded; `stages_ms` are the server's own
    times, medians; `first_picture_ms` goes from the first submitted frame to the first picture.
    Bytes are those of messages.
    """

    counts: Counts
    fps_in: float
    fps_out: float
    fps_steady: float
    latency_ms: Percentiles
    stages_ms: dict[str, float]
    decode_ms: float
    bytes_sent: int
    bytes_received: int
    connections: int
    callback_errors: int
    first_picture_ms: float | None

    @property
    def dropped(self) -> dict[DropReason, int]:
        """Frames passed over, by reason."""
        return self.counts.dropped


class Meter:
    """Collects what `ClientStatistics` shows. Times are microseconds of `clock`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._in: deque[int] = deque(maxlen=KEPT)
        self._out: deque[int] = deque(maxlen=KEPT)
        self._latency_ms: deque[float] = deque(maxlen=KEPT)
        self._stages: deque[StageTimes] = deque(maxlen=KEPT)
        self._first_frame: int | None = None
        self._first_picture: int | None = None
        self._first_chunk, self._later_pictures = -1, 0
        self._first_chunk_end: int | None = None
        self._bytes_sent = self._bytes_received = 0
        self._connections = self._callback_errors = 0
        self.decode_ms = 0.0
        """Running mean of the time that one picture takes to decode."""

    def submitted(self) -> None:
        """A frame was submitted now."""
        now = self.clock()
        with self._lock:
            self._in.append(now)
            if self._first_frame is None:
                self._first_frame = now

    def rendered(self, reply: RenderedFrame, captured_us: int, began_us: int) -> None:
        """A picture is in hand, of a frame captured then; its decoding began at `began_us`."""
        now = self.clock()
        with self._lock:
            self._count(reply.chunk_index, now)
            self._out.append(now)
            self._latency_ms.append((now - captured_us) / 1000)
            self._stages.append(reply.stages)
            took = (now - began_us) / 1000
            self.decode_ms += SMOOTHING * (took - self.decode_ms) if self.decode_ms else took

    def sent(self, size: int) -> None:
        """A message of `size` bytes left."""
        with self._lock:
            self._bytes_sent += size

    def received(self, size: int) -> None:
        """A message of `size` bytes came."""
        with self._lock:
            self._bytes_received += size

    def connected(self) -> None:
        """A session was accepted."""
        with self._lock:
            self._connections += 1

    def callback_failed(self) -> int:
        """A callback raised; how many have by now."""
        with self._lock:
            self._callback_errors += 1
            return self._callback_errors

    def statistics(self, counts: Counts) -> ClientStatistics:
        """What was collected, beside the frames' own `counts`."""
        with self._lock:
            now, stages, first = self.clock(), list(self._stages), self._first_ms()
            return ClientStatistics(
                counts=counts,
                fps_in=_rate(self._in, now),
                fps_out=_rate(self._out, now),
                fps_steady=self._steady(),
                latency_ms=Percentiles.of(self._latency_ms),
                stages_ms={name: _median(stages, name) for name in STAGES},
                decode_ms=self.decode_ms,
                bytes_sent=self._bytes_sent,
                bytes_received=self._bytes_received,
                connections=self._connections,
                callback_errors=self._callback_errors,
                first_picture_ms=first,
            )

    def _first_ms(self) -> float | None:
        if self._first_frame is None or self._first_picture is None:
            return None
        return (self._first_picture - self._first_frame) / 1000

    def _count(self, chunk: int, now: int) -> None:
        """Note when the first chunk ended, and how many pictures came after it."""
        if self._first_picture is None:
            self._first_picture, self._first_chunk = now, chunk
        if chunk == self._first_chunk and self._later_pictures == 0:
            self._first_chunk_end = now
        else:
            self._later_pictures += 1

    def _steady(self) -> float:
        if self._first_chunk_end is None or not self._later_pictures:
            return 0.0
        return self._later_pictures * 1e6 / max(1, self._out[-1] - self._first_chunk_end)


def _rate(ticks: deque[int], now: int) -> float:
    """Ticks a second lately; the span begins with the oldest of them."""
    recent = [tick for tick in ticks if now - tick <= RATE_US]
    if len(recent) < 2:
        return 0.0
    return (len(recent) - 1) * 1e6 / max(1, now - recent[0])


def _median(stages: list[StageTimes], name: str) -> float:
    return Percentiles.of(getattr(times, name) for times in stages).p50
