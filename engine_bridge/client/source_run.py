"""Streams a source through a client and reports the outcome."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from c2r.wire import CoarseFrame, FrameReply
from engine_bridge.client.render_client import RenderClient
from engine_bridge.client.statistics import ClientStatistics, Percentiles
from engine_bridge.client.status import State
from engine_bridge.sinks.pairs import Pair, PairMatcher

ROOM_TIMEOUT_S = 60.0
POLL_S = 0.05


@dataclass(frozen=True)
class StreamReport:
    """A run in numbers; frames_sent = frames_rendered + frames_dropped.

    Times in milliseconds. `stages_ms`: medians; `latency_ms`: capture to rendered frame; `ttff_ms`:
    first frame to first rendered frame, None without one. `drops`: by reason, faults as `failed`.
    """

    frames_sent: int
    frames_rendered: int
    frames_dropped: int
    drops: dict[str, int]
    fps_steady: float
    ttff_ms: float | None
    latency_ms: Percentiles
    stages_ms: dict[str, float]
    seconds: float

    @classmethod
    def of(cls, statistics: ClientStatistics, seconds: float) -> StreamReport:
        counts = statistics.counts
        drops = {str(reason): n for reason, n in counts.dropped.items()}
        if counts.failed:
            drops["failed"] = counts.failed
        return cls(
            frames_sent=counts.submitted,
            frames_rendered=counts.rendered,
            frames_dropped=sum(drops.values()),
            drops=drops,
            fps_steady=statistics.fps_steady,
            ttff_ms=statistics.first_picture_ms,
            latency_ms=statistics.latency_ms,
            stages_ms={name.removesuffix("_ms"): t for name, t in statistics.stages_ms.items()},
            seconds=seconds,
        )

    def as_json(self) -> dict[str, Any]:
        """For a report file; times rounded to a microsecond."""
        return {name: _rounded(value) for name, value in asdict(self).items()}


def stream_source(
    source: Iterable[CoarseFrame],
    client: RenderClient,
    *,
    fps: float,
    frames: int | None = None,
    realtime: bool = True,
    on_pair: Callable[[Pair], None] | None = None,
    on_progress: Callable[[int], None] | None = None,
    close_timeout_s: float = 30.0,
) -> StreamReport:
    """Submit `frames` frames of `source` (None: all) to a started client, then close it.

    `realtime`: a frame every 1 / fps seconds as in a game, and the client may drop some; else a
    frame as soon as it can be sent, so that none is dropped. `on_pair` gets rendered frames with
    their coarse ones, in order; `on_progress` the number submitted. Both run in this thread.

    ConnectionError when the session is refused or lost for good.
    """
    client.wait_streaming()
    run = _Run(client, fps if realtime else None, on_pair)
    coarse = iter(source)
    for index in itertools.count() if frames is None else range(frames):
        run.wait_turn(index)
        # Captured only now: its latency counts from here.
        frame = next(coarse, None)
        if frame is None:
            break
        run.submit(frame)
        if on_progress is not None:
            on_progress(index + 1)
    client.close(timeout_s=close_timeout_s)
    seconds = time.perf_counter() - run.started
    run.collect(client.results())
    return StreamReport.of(client.statistics, seconds)


class _Run:
    """One run; `fps` None: as fast as possible without drops."""

    def __init__(
        self, client: RenderClient, fps: float | None, on_pair: Callable[[Pair], None] | None
    ) -> None:
        self.started = time.perf_counter()
        self._client, self._fps, self._on_pair = client, fps, on_pair
        self._pairs = PairMatcher()

    def submit(self, frame: CoarseFrame) -> None:
        self._pairs.keep(frame)
        self._client.submit(frame)

    def collect(self, replies: Iterable[FrameReply]) -> None:
        for reply in replies:
            pair = self._pairs.match(reply)
            if pair is not None and self._on_pair is not None:
                self._on_pair(pair)

    def wait_turn(self, index: int) -> None:
        """Wait until frame `index` is due; outcomes are read meanwhile."""
        self.collect(self._client.poll())
        if self._fps is None:
            self._wait_for_room()
        else:
            time.sleep(max(0.0, self.started + index / self._fps - time.perf_counter()))
        if self._client.status.state is State.FAILED:
            raise ConnectionError(self._client.status.text)

    def _wait_for_room(self) -> None:
        deadline = time.perf_counter() + ROOM_TIMEOUT_S
        while not self._client.wait_for_room(POLL_S):
            self.collect(self._client.poll())
            if time.perf_counter() > deadline:
                text = self._client.status.text
                raise ConnectionError(f"no frame could be sent for {ROOM_TIMEOUT_S:g} s: {text}")


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {name: _rounded(item) for name, item in value.items()}
    return value
