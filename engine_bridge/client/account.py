"""Accounting of frames: each submitted frame gets exactly one outcome, delivered in frame order.

A frame waits, is in flight (sent, without a reply), or has its outcome. The server grants a window:
the most frames in flight. Drop rule: as many frames may wait as the window has room for, and one
when it is full; beyond that the oldest waiting frame becomes `UNSENT`, so that latency is bounded
and the newest frame always goes. A reset on a frame that never reached the server moves to the next
frame sent; otherwise the renderer would continue across a cut.

Safe from any thread; no call blocks but `wait` and `wait_for_room`. Knows nothing of networks.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace

from c2r.wire import (
    CoarseFrame,
    DroppedFrame,
    DropReason,
    FailedFrame,
    Fault,
    FrameReply,
    OpenRequest,
    RenderedFrame,
    ResetReason,
)
from engine_bridge.client.controls import Controls
from engine_bridge.client.statistics import Clock, Counts, DisplayMeter, Meter

MAX_UNREAD = 1 << 16
"""Outcomes that may wait for their reader before `submit` refuses more frames."""
UNREAD_RENDERED = 32
"""Rendered frames (or a window, if larger) that may wait for a reader before sending stops."""


@dataclass(slots=True)
class _Entry:
    frame_id: int
    capture_time_us: int
    reset: ResetReason | None
    outcome: FrameReply | None = None


class Account:
    """The frames of one client, over all its connections."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._order: deque[_Entry] = deque()
        self._waiting: deque[tuple[CoarseFrame, _Entry]] = deque()
        self._in_flight: dict[int, _Entry] = {}
        self._ready: deque[FrameReply] = deque()
        self._window = 0
        self._unread_rendered = 0
        self._last_id = -1
        self._carried: ResetReason | None = None
        self._accepting, self._halted = True, False
        self._submitted = self._sent = self._rendered = self._failed = self._stray = 0
        self._dropped = dict.fromkeys(DropReason, 0)
        self._unsent_before = 0

    def submit(self, frame: CoarseFrame) -> None:
        """Take a frame. ValueError unless its id is above the last one's.

        RuntimeError after `stop`, and when `MAX_UNREAD` outcomes wait for a reader.
        """
        with self._changed:
            self._check(frame)
            self._last_id = frame.frame_id
            self._submitted += 1
            entry = _Entry(frame.frame_id, frame.capture_time_us, frame.reset)
            self._order.append(entry)
            if self._halted:
                self._drop(entry, DropReason.UNSENT)
            else:
                self._waiting.append((frame, entry))
                self._trim()
            self._release()

    def take(self) -> CoarseFrame | None:
        """The next frame to send, now in flight; None when none waits or none may go."""
        with self._changed:
            if not self._waiting or self._room() <= 0:
                return None
            frame, entry = self._waiting.popleft()
            if self._carried is not None and frame.reset is None:
                frame = replace(frame, reset=self._carried)
            entry.reset, self._carried = frame.reset, None
            self._in_flight[frame.frame_id] = entry
            self._sent += 1
            return frame

    def settle(self, reply: FrameReply) -> int | None:
        """Record a reply; the frame's capture time, or None for a reply to no frame in flight."""
        with self._changed:
            entry = self._in_flight.pop(reply.frame_id, None)
            if entry is None:
                self._stray += 1
                return None
            self._answer(entry, reply)
            self._release()
            return entry.capture_time_us

    def refuse(self, frame: CoarseFrame, fault: Fault) -> None:
        """A frame taken cannot be sent at all."""
        with self._changed:
            entry = self._in_flight.pop(frame.frame_id)
            self._sent -= 1
            self._carried = entry.reset or self._carried
            self._answer(entry, FailedFrame(entry.frame_id, entry.capture_time_us, fault))
            self._release()

    def begin_session(self) -> None:
        """A new session counts its own unsent frames."""
        with self._changed:
            self._unsent_before = self._dropped[DropReason.UNSENT]

    def set_window(self, frames: int) -> None:
        """At most this many frames in flight; 0 stops sending."""
        with self._changed:
            self._window = frames
            self._trim()
            self._release()

    def lose(self) -> int:
        """The connection broke: frames in flight are lost, waiting ones stay. How many are lost."""
        with self._changed:
            self._window = 0
            lost = self._lose_in_flight()
            self._trim()
            self._release()
            return lost

    def stop(self) -> None:
        """Take no more frames; those that wait are still sent."""
        with self._changed:
            self._accepting = False

    def halt(self) -> None:
        """Nothing can be sent any more: later frames are `UNSENT` at once."""
        with self._changed:
            self._halt()

    def close(self) -> None:
        """Every open frame gets its outcome, and readers end."""
        with self._changed:
            self._accepting = False
            self._halt()

    def next_outcome(self) -> FrameReply | None:
        """The next outcome in frame order, or None when it has not come yet."""
        with self._changed:
            if not self._ready:
                return None
            outcome = self._ready.popleft()
            if isinstance(outcome, RenderedFrame):
                self._unread_rendered -= 1
                self._changed.notify_all()
            return outcome

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for an outcome, or for their end; False on a timeout."""
        with self._changed:
            return self._changed.wait_for(lambda: bool(self._ready) or self._halted, timeout_s)

    def wait_for_room(self, timeout_s: float | None = None) -> bool:
        """Wait until a frame would be sent at once, or never can be; False on a timeout."""

        def free() -> bool:
            return self._has_room() or self._halted or not self._accepting

        with self._changed:
            return self._changed.wait_for(free, timeout_s)

    @property
    def has_room(self) -> bool:
        """A frame submitted now would be sent without replacing another."""
        with self._changed:
            return self._has_room()

    @property
    def blocked(self) -> bool:
        """The whole window is in flight: nothing can be sent until the server replies."""
        with self._changed:
            return 0 < self._window <= len(self._in_flight)

    @property
    def waiting(self) -> int:
        """Frames that are not sent yet."""
        return len(self._waiting)

    @property
    def in_flight(self) -> int:
        """Frames sent that have no reply yet."""
        return len(self._in_flight)

    @property
    def unsent(self) -> int:
        """Frames of this session that the client dropped itself."""
        return self._dropped[DropReason.UNSENT] - self._unsent_before

    @property
    def finished(self) -> bool:
        """Halted or closed, and every outcome was read."""
        with self._changed:
            return self._halted and not self._ready

    @property
    def counts(self) -> Counts:
        with self._changed:
            return Counts(
                submitted=self._submitted,
                sent=self._sent,
                rendered=self._rendered,
                failed=self._failed,
                dropped={reason: n for reason, n in self._dropped.items() if n},
                stray=self._stray,
            )

    def _check(self, frame: CoarseFrame) -> None:
        if not self._accepting:
            raise RuntimeError("the client is closed; make a new one to send frames")
        if frame.frame_id <= self._last_id:
            raise ValueError(
                f"frame id {frame.frame_id} comes after {self._last_id}; ids must go up"
            )
        if len(self._order) + len(self._ready) >= MAX_UNREAD:
            raise RuntimeError(
                f"{MAX_UNREAD} outcomes wait to be read; call poll(), iterate over results(), "
                "or give on_result"
            )

    def _room(self) -> int:
        """Frames that may be sent now; none while the reader of rendered frames is behind."""
        unread = self._accepting and self._unread_rendered > max(self._window, UNREAD_RENDERED)
        return 0 if unread else self._window - len(self._in_flight)

    def _has_room(self) -> bool:
        return self._room() > len(self._waiting)

    def _trim(self) -> None:
        while len(self._waiting) > max(1, self._room()):
            _, entry = self._waiting.popleft()
            self._carried = entry.reset or self._carried
            self._drop(entry, DropReason.UNSENT)

    def _lose_in_flight(self) -> int:
        lost = list(self._in_flight.values())
        self._in_flight.clear()
        for entry in lost:
            self._carried = entry.reset or self._carried
            self._drop(entry, DropReason.LOST)
        return len(lost)

    def _halt(self) -> None:
        self._halted, self._window = True, 0
        self._lose_in_flight()
        for _, entry in self._waiting:
            self._drop(entry, DropReason.UNSENT)
        self._waiting.clear()
        self._release()

    def _drop(self, entry: _Entry, reason: DropReason) -> None:
        self._answer(entry, DroppedFrame(entry.frame_id, entry.capture_time_us, reason))

    def _answer(self, entry: _Entry, outcome: FrameReply) -> None:
        assert entry.outcome is None, "a frame has one outcome"
        entry.outcome = outcome
        if isinstance(outcome, RenderedFrame):
            self._rendered += 1
            self._unread_rendered += 1
        elif isinstance(outcome, DroppedFrame):
            self._dropped[outcome.reason] += 1
        else:
            self._failed += 1

    def _release(self) -> None:
        """Hand outcomes to the reader, up to the first frame that has none yet."""
        while self._order and (outcome := self._order[0].outcome) is not None:
            self._ready.append(outcome)
            self._order.popleft()
        self._changed.notify_all()


@dataclass(frozen=True)
class ClientRecord:
    """All that a client keeps over its connections; each part is safe from any thread."""

    account: Account
    controls: Controls
    meter: Meter
    display: DisplayMeter

    @classmethod
    def empty(cls, opening: OpenRequest, clock: Clock) -> ClientRecord:
        return cls(Account(), Controls(opening), Meter(clock), DisplayMeter(clock))
