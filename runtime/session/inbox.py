"""Gathers the coarse frames of one stream into chunks, and drops those that come too fast.

The drop rule, for frames that come faster than they are rendered:

* Pace: a frame is dropped when the stream has already kept more frames than the renderer could have
  taken since, at the best of its latest chunks, with three chunks of slack. A steady stream that is
  too fast is thus thinned evenly; a client that sends a chunk whenever one comes back keeps every
  frame.
* Bound: no more frames wait than the window that the client was told, less those being rendered,
  or one chunk if that is more; while the pace is dropping frames, no more than one chunk. Newest
  wins: the oldest goes.
* A frame with `reset` drops all that wait and begins a first chunk.

Why two rules: the bound alone keeps latency low but drops in blocks, so that a chunk would span a
jump in time; the pace alone spaces frames evenly but trusts an estimate, and whatever that is wrong
by would pile up as latency.

Every frame that is added leaves exactly once: from `add`, `take` or `clear`. Knows no clock and no
session; times are seconds of any steady clock.
"""

from __future__ import annotations

import math
from collections import deque

from c2r.wire import DropReason
from runtime.core import ChunkRequest, ReceivedFrame

SLACK_CHUNKS = 3
"""A client that keeps two chunks in flight sends them at once; one more for an uneven renderer."""
PACE_MARGIN = 0.95
"""The pace is a little faster than the renderer, which must never wait for a frame."""
PERIODS = 8
"""Chunks that the pace is estimated from. The fastest counts: one that other programs or sessions
slowed down says nothing about the renderer, and a pace too low would drop frames for nothing."""


class TokenBucket:
    """Lets events pass at `rate` a second (None: all of them), with `capacity` of slack."""

    def __init__(self, capacity: float, rate: float | None = None) -> None:
        self.capacity = capacity
        self.rate = rate
        self._level = capacity
        self._seen_s = -math.inf

    def take(self, now_s: float) -> bool:
        """Whether an event at `now_s` may pass."""
        if self.rate is None:
            return True
        refill = max(0.0, now_s - self._seen_s) * self.rate
        self._level = min(self.capacity, self._level + refill)
        self._seen_s = max(now_s, self._seen_s)
        if self._level < 1:
            return False
        self._level -= 1
        return True

    def give(self, events: float) -> None:
        """Let so many more pass."""
        self._level = min(self.capacity, self._level + events)


class Inbox:
    """Frames of one stream that wait to be rendered; one chunk may be out at a time.

    `bound`: frames that the client may have unanswered. `first`: the next chunk is a first one.
    """

    def __init__(
        self, first_frames: int, chunk_frames: int, *, bound: int, first: bool = True
    ) -> None:
        assert bound >= chunk_frames >= first_frames >= 1, "a chunk fits the window"
        self.first = first
        self._first_frames, self._chunk_frames = first_frames, chunk_frames
        self._bound = bound
        self._waiting: deque[ReceivedFrame] = deque()
        self._reset = False
        self._pace = TokenBucket(SLACK_CHUNKS * chunk_frames)
        self._too_fast = self._was_too_fast = False
        self._periods: deque[float] = deque(maxlen=PERIODS)
        self._out: ChunkRequest | None = None
        self._full_s: float | None = None
        self._out_since_s = self._done_s = -math.inf

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def wanted(self) -> int:
        """Frames of the next chunk."""
        return self._first_frames if self.first else self._chunk_frames

    @property
    def ready(self) -> bool:
        """A whole chunk waits and none is out."""
        return self._out is None and len(self._waiting) >= self.wanted

    def add(self, received: ReceivedFrame) -> list[tuple[ReceivedFrame, DropReason]]:
        """Take a frame in; returns the frames that are dropped for it, perhaps itself."""
        now_s = received.arrived_s
        dropped: list[tuple[ReceivedFrame, DropReason]] = []
        if received.frame.reset is not None:
            # Never thinned out: the reset must not get lost, and the pace counts it as free.
            dropped = [(old, DropReason.RESET) for old in self.clear()]
            self.first = self._reset = True
        elif not self._pace.take(now_s):
            self._too_fast = True
            return [(received, DropReason.SUPERSEDED)]
        self._waiting.append(received)
        while len(self._waiting) > self._room():
            # This may drop the frame that carried a reset; `_reset` remembers it.
            dropped.append((self._waiting.popleft(), DropReason.SUPERSEDED))
        if self._full_s is None and len(self._waiting) >= self.wanted:
            self._full_s = now_s
        return dropped

    def take(self, now_s: float, *, partial: bool = False) -> ChunkRequest | None:
        """The next chunk, which is then out until `done` or `failed`; None when none is ready.

        `partial`: whatever waits, when it is less than a whole chunk.
        """
        count = min(self.wanted, len(self._waiting))
        if self._out is not None or count == 0 or (count < self.wanted and not partial):
            return None
        frames = tuple(self._waiting.popleft() for _ in range(count))
        self._out = ChunkRequest(frames, self.wanted, self.first, self._reset)
        self._out_since_s = now_s if self._full_s is None else self._full_s
        self.first = self._reset = False
        self._full_s = now_s if len(self._waiting) >= self.wanted else None
        # Remembered for one chunk more: a stream that is a little too fast is dropped from only
        # now and then, and the queue must not grow back in between.
        self._too_fast, self._was_too_fast = False, self._too_fast
        return self._out

    def done(self, now_s: float) -> None:
        """The chunk that was out is rendered; the pace learns from it."""
        assert self._out is not None, "done follows take"
        # The period runs from when the chunk could have begun: its last frame had come, and the
        # chunk before was done. It includes the turns of other sessions, as it must.
        period_s = now_s - max(self._done_s, self._out_since_s)
        if len(self._out.frames) == self._out.size and period_s > 0:
            self._periods.append(period_s / self._out.size)
            self._pace.rate = 1 / (PACE_MARGIN * min(self._periods))
        self._done_s, self._out = now_s, None

    def failed(self) -> None:
        """The chunk that was out gave no frames."""
        self._out = None

    def restart(self, *, reset: bool = False) -> None:
        """The next chunk is a first one; nothing is dropped.

        The renderer lost its state already, or with `reset` it is told to discard it.
        """
        self.first, self._reset = True, self._reset or reset

    def clear(self) -> list[ReceivedFrame]:
        """All frames that wait, taken out."""
        left = list(self._waiting)
        self._waiting.clear()
        self._full_s = None
        return left

    def _room(self) -> int:
        if self._too_fast or self._was_too_fast:
            return self.wanted
        out = 0 if self._out is None else len(self._out.frames)
        return max(self.wanted, self._bound - out)
