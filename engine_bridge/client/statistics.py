"""Clock, counters and meters of a client: rates, latency, bytes. Bounded memory, thread-safe."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

from c2r.wire import DropReason, RenderedFrame
from c2r.wire.events import Feedback
from c2r.wire.replies import StageTimes

Clock = Callable[[], int]
"""Microseconds of a clock that never goes back."""

RATE_US = 3_000_000
"""Rates are those of the last three seconds."""
KEPT = 4096
"""Latencies and stage times that percentiles are made of, the newest ones."""
SMOOTHING = 0.1
"""Weight of the newest value in running means."""
STAGES = tuple(field.name for field in fields(StageTimes))


def monotonic_us() -> int:
    """Microseconds since an arbitrary start; finer than a millisecond on Windows too."""
    return time.perf_counter_ns() // 1000


@dataclass(frozen=True)
class Counts:
    """Frames so far. submitted = rendered + failed + all dropped + those still open.

    `stray`: replies to no frame in flight.
    """

    submitted: int
    sent: int
    rendered: int
    failed: int
    dropped: dict[DropReason, int]
    stray: int


@dataclass(frozen=True)
class Percentiles:
    """By nearest rank; 0 where there are no values."""

    p50: float = 0.0
    p90: float = 0.0
    p99: float = 0.0

    @classmethod
    def of(cls, values: Iterable[float]) -> Percentiles:
        ordered = sorted(values)
        return cls(*(_rank(ordered, share) for share in (0.5, 0.9, 0.99)))


def _rank(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class ClientStatistics:
    """Since the client started. Rates in frames per second over the last three seconds.

    `fps_steady`: rendered frames per second from the end of the first chunk to the last frame.
    `latency_ms`: capture to decoded rendered frame. `stages_ms`: the server's own times, medians.
    `first_picture_ms`: first submitted frame to first rendered frame. Bytes are those of messages.
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
        """Dropped frames by reason."""
        return self.counts.dropped


class Meter:
    """Collects `ClientStatistics`. Times are microseconds of `clock`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._in: deque[int] = deque(maxlen=KEPT)
        self._out: deque[int] = deque(maxlen=KEPT)
        self._latency_ms: deque[float] = deque(maxlen=KEPT)
        self._stages: deque[StageTimes] = deque(maxlen=KEPT)
        self._first_frame: int | None = None
        self._first_rendered: int | None = None
        self._first_chunk, self._later_rendered = -1, 0
        self._first_chunk_end: int | None = None
        self._bytes_sent = self._bytes_received = 0
        self._connections = self._callback_errors = 0
        self.decode_ms = 0.0
        """Running mean of the time to decode one rendered frame."""

    def submitted(self) -> None:
        now = self.clock()
        with self._lock:
            self._in.append(now)
            if self._first_frame is None:
                self._first_frame = now

    def rendered(self, reply: RenderedFrame, captured_us: int, began_us: int) -> None:
        """A frame captured at `captured_us` is decoded; decoding started at `began_us`."""
        now = self.clock()
        with self._lock:
            self._count(reply.chunk_index, now)
            self._out.append(now)
            self._latency_ms.append((now - captured_us) / 1000)
            self._stages.append(reply.stages)
            took = (now - began_us) / 1000
            self.decode_ms += SMOOTHING * (took - self.decode_ms) if self.decode_ms else took

    def sent(self, size: int) -> None:
        with self._lock:
            self._bytes_sent += size

    def received(self, size: int) -> None:
        with self._lock:
            self._bytes_received += size

    def connected(self) -> None:
        with self._lock:
            self._connections += 1

    def callback_failed(self) -> int:
        """A callback raised; how many did so far."""
        with self._lock:
            self._callback_errors += 1
            return self._callback_errors

    def statistics(self, counts: Counts) -> ClientStatistics:
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
        if self._first_frame is None or self._first_rendered is None:
            return None
        return (self._first_rendered - self._first_frame) / 1000

    def _count(self, chunk: int, now: int) -> None:
        """Track the end of the first chunk and the frames after it, for `fps_steady`."""
        if self._first_rendered is None:
            self._first_rendered, self._first_chunk = now, chunk
        if chunk == self._first_chunk and self._later_rendered == 0:
            self._first_chunk_end = now
        else:
            self._later_rendered += 1

    def _steady(self) -> float:
        if self._first_chunk_end is None or not self._later_rendered:
            return 0.0
        return self._later_rendered * 1e6 / max(1, self._out[-1] - self._first_chunk_end)


class DisplayMeter:
    """The rendered frame on the screen, with running means for the server's `Feedback`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._frame_id: int | None = None
        self._latency_ms = self._buffer_ms = 0.0

    def shown(self, frame_id: int, capture_time_us: int, buffer_ms: float) -> None:
        """A frame is on the screen now, with `buffer_ms` of playout buffered behind it."""
        latency = max(0.0, (self._clock() - capture_time_us) / 1000)
        with self._lock:
            weight = 1.0 if self._frame_id is None else SMOOTHING
            self._frame_id = frame_id
            self._latency_ms += weight * (latency - self._latency_ms)
            self._buffer_ms += weight * (max(0.0, buffer_ms) - self._buffer_ms)

    def feedback(self, *, decode_ms: float, frames_unsent: int, keyframe_wanted: bool) -> Feedback:
        with self._lock:
            return Feedback(
                displayed_frame_id=self._frame_id,
                decode_ms=decode_ms,
                jitter_buffer_ms=self._buffer_ms,
                latency_ms=self._latency_ms,
                frames_unsent=frames_unsent,
                keyframe_wanted=keyframe_wanted,
            )


def _rate(ticks: deque[int], now: int) -> float:
    """Ticks per second within the last `RATE_US`, from the oldest of them to now."""
    recent = [tick for tick in ticks if now - tick <= RATE_US]
    if len(recent) < 2:
        return 0.0
    return (len(recent) - 1) * 1e6 / max(1, now - recent[0])


def _median(stages: list[StageTimes], name: str) -> float:
    return Percentiles.of(getattr(times, name) for times in stages).p50
