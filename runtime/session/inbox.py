"""Gathers the coarse frames of one stream into chunks, and drops what nobody could render in time.

The rules, for frames that come faster than they are rendered:

* Pace: a frame is passed over when the stream has already kept more frames than the renderer could
  have taken since, at the best of its latest chunks, with three chunks of slack. A steady stream
  that is too fast is thus thinned evenly; a client that sends a chunk whenever one comes back keeps
  every frame.
* Bound: no more frames wait than the window that the client was told, less those being rendered,
  or one chunk if that is more; while the pace is passing frames over, no more than one chunk.
  Newest wins: the oldest goes.
* A frame with `reset` drops all that wait and begins a first chunk.

Every frame that is added leaves exactly once: from `add`, `take` or `clear`. Knows no clock and no
session; times are seconds of any steady clock.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass

from c2r.wire import CoarseFrame, DropReason

SLACK_CHUNKS = 3
PACE_MARGIN = 0.95
"""The pace is a little faster than the renderer, which must never wait for a frame."""
PERIODS = 8


@dataclass(frozen=True, eq=False)
class Waiting:
    """A decoded frame: when its message arrived, and when and how fast it was decoded."""

    frame: CoarseFrame
    arrived_s: float
    decoded_s: float = 0.0
    decode_ms: float = 0.0


@dataclass(frozen=True)
class Gathered:
    """Frames of one chunk; when they are fewer than `size`, the last one stands in for the rest.

    `first`: the chunk is a first one. `reset`: the renderer forgets its past before it.
    """

    items: tuple[Waiting, ...]
    size: int
    first: bool
    reset: bool


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
        self._waiting: deque[Waiting] = deque()
        self._reset = False
        self._pace = TokenBucket(SLACK_CHUNKS * chunk_frames)
        self._pressed = self._was_pressed = False
        self._periods: deque[float] = deque(maxlen=PERIODS)
        self._out: Gathered | None = None
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

    def add(self, item: Waiting) -> list[tuple[Waiting, DropReason]]:
        """Take a frame in; gives the frames that are passed over for it, perhaps itself."""
        now_s = item.arrived_s
        dropped: list[tuple[Waiting, DropReason]] = []
        if item.frame.reset is not None:
            dropped = [(old, DropReason.RESET) for old in self.clear()]
            self.first = self._reset = True
        elif not self._pace.take(now_s):
            self._pressed = True
            return [(item, DropReason.SUPERSEDED)]
        self._waiting.append(item)
        while len(self._waiting) > self._room():
            dropped.append((self._waiting.popleft(), DropReason.SUPERSEDED))
        if self._full_s is None and len(self._waiting) >= self.wanted:
            self._full_s = now_s
        return dropped

    def take(self, now_s: float, *, partial: bool = False) -> Gathered | None:
        """The next chunk, which is then out until `done` or `failed`; None when none is ready.

        `partial`: whatever waits, when it is less than a whole chunk.
        """
        count = min(self.wanted, len(self._waiting))
        if self._out is not None or count == 0 or (count < self.wanted and not partial):
            return None
        items = tuple(self._waiting.popleft() for _ in range(count))
        self._out = Gathered(items, self.wanted, self.first, self._reset)
        self._out_since_s = now_s if self._full_s is None else self._full_s
        self.first = self._reset = False
        self._full_s = now_s if len(self._waiting) >= self.wanted else None
        self._pressed, self._was_pressed = False, self._pressed
        return self._out

    def done(self, now_s: float) -> None:
        """The pictures of the chunk that was out are there; the pace learns from it."""
        assert self._out is not None, "done follows take"
        # From when it could have begun: what the renderer needs, other streams' turns included.
        period_s = now_s - max(self._done_s, self._out_since_s)
        if len(self._out.items) == self._out.size and period_s > 0:
            self._periods.append(period_s / self._out.size)
            self._pace.rate = 1 / (PACE_MARGIN * min(self._periods))
        self._done_s, self._out = now_s, None

    def failed(self) -> None:
        """The chunk that was out came to nothing."""
        self._out = None

    def begin_anew(self, *, reset: bool = False) -> None:
        """The next chunk is a first one: the renderer lost its past, or `reset` takes it from it.
        Nothing is dropped.
        """
        self.first, self._reset = True, self._reset or reset

    def clear(self) -> list[Waiting]:
        """All frames that wait, taken out."""
        left = list(self._waiting)
        self._waiting.clear()
        self._full_s = None
        return left

    def _room(self) -> int:
        if self._pressed or self._was_pressed:
            return self.wanted
        out = 0 if self._out is None else len(self._out.items)
        return max(self.wanted, self._bound - out)
