"""Paces pictures that come in chunks, and falls back to the coarse frame: never a black screen.

Pictures are played by their capture times, a delay behind them. The delay is the longest that any
picture of the last seconds took to come, so that the last frame of a chunk is still on the screen
when the next chunk comes; it grows at once and shrinks slowly, by playing a little faster. When
the picture that is due has not come for `late_after_s`, or pictures take longer than `max_delay_s`,
the newest coarse frame is shown, until pictures have been in time again for a while.

Pure logic with a clock from outside; not for several threads at once.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2r.wire import CoarseFrame, FrameReply, RenderedFrame
from engine_bridge.client.clock import Clock, monotonic_us

MEMORY_US = 3_000_000
"""The delay covers what happened in the last three seconds."""
MARGIN_US = 15_000
CATCH_UP = 0.05
"""Share by which pictures are played faster while the delay is longer than it need be."""
SETTLE_US = 500_000
CAPACITY = 128
"""Pictures that may wait; when one more comes, the oldest is shown at once."""


@dataclass(frozen=True, eq=False)
class View:
    """What to put on the screen: a picture, or the coarse frame in its place (`picture` None)."""

    rgb: NDArray[np.uint8]
    frame_id: int
    picture: RenderedFrame | None


class Presenter:
    """Give it every captured frame and every outcome; `view` says what to show now.

    `late_after_s`: how long the screen may stand still for a picture that is due.
    `max_delay_s`: the oldest that a picture may be when it comes. Both in seconds, above 0.
    """

    def __init__(
        self,
        *,
        late_after_s: float = 0.5,
        max_delay_s: float = 4.0,
        clock: Clock = monotonic_us,
    ) -> None:
        if not (late_after_s > 0 and max_delay_s > 0):
            raise ValueError("late_after_s and max_delay_s are seconds above 0")
        self._late_after, self._max_delay = round(late_after_s * 1e6), round(max_delay_s * 1e6)
        self._clock = clock
        self._coarse: CoarseFrame | None = None
        self._captured: deque[tuple[int, int]] = deque(maxlen=4096)
        self._pictures: deque[RenderedFrame] = deque()
        self._shown: RenderedFrame | None = None
        self._awaits_view = False
        self._took: deque[tuple[int, int]] = deque()
        self._delay = 0
        self._looked_at = clock()
        self._lapsed = False
        self._in_time_since: int | None = None
        self.unseen = 0
        """Pictures that came too late, or whose time passed between two views."""

    def capture(self, frame: CoarseFrame) -> None:
        """The engine drew this frame."""
        self._coarse = frame
        self._captured.append((frame.frame_id, frame.capture_time_us))

    def receive(self, reply: FrameReply) -> None:
        """An outcome came; only pictures matter here."""
        if not isinstance(reply, RenderedFrame):
            return
        took = self._clock() - reply.capture_time_us
        if took > self._max_delay:
            self.unseen += 1
            return
        self._note(took)
        if len(self._pictures) == CAPACITY:
            self._hurry()
        self._pictures.append(reply)

    def view(self) -> View | None:
        """What to show now; None only before the first frame was captured."""
        now = self._clock()
        self._shrink_delay(now)
        self._advance(now - self._delay)
        self._awaits_view = False
        if self._shown is not None and self._in_time(now):
            return View(self._shown.rgb, self._shown.frame_id, self._shown)
        if self._coarse is None:
            return None
        return View(self._coarse.rgb, self._coarse.frame_id, None)

    @property
    def delay_ms(self) -> float:
        """How far behind its capture a picture is shown."""
        return self._delay / 1000

    @property
    def buffer_ms(self) -> float:
        """How long the pictures that wait will last."""
        if not self._pictures:
            return 0.0
        played = self._clock() - self._delay
        return max(0, self._pictures[-1].capture_time_us - played) / 1000

    def _note(self, took: int) -> None:
        """The delay grows at once to what a picture took."""
        now = self._clock()
        self._took.append((now, took))
        while now - self._took[0][0] > MEMORY_US:
            self._took.popleft()
        self._delay = min(self._max_delay, max(self._delay, took + MARGIN_US))

    def _hurry(self) -> None:
        """The delay falls to the age of the oldest picture, which is due then. What slower times
        have left of it would keep pictures back until they are pushed out unseen.
        """
        now = self._clock()
        age = max(0, now - self._pictures[0].capture_time_us)
        self._took = deque((at, took) for at, took in self._took if took <= age)
        self._delay = min(self._delay, age)
        self._advance(self._pictures[0].capture_time_us)

    def _shrink_delay(self, now: int) -> None:
        elapsed, self._looked_at = now - self._looked_at, now
        recent = [took for at, took in self._took if now - at <= MEMORY_US]
        if recent:
            needed = min(self._max_delay, max(recent) + MARGIN_US)
            self._delay = max(needed, self._delay - round(CATCH_UP * elapsed))

    def _advance(self, played: int) -> None:
        """Show the newest picture whose time has come."""
        while self._pictures and self._pictures[0].capture_time_us <= played:
            self.unseen += self._awaits_view
            self._shown, self._awaits_view = self._pictures.popleft(), True
        shown = -1 if self._shown is None else self._shown.frame_id
        while self._captured and self._captured[0][0] <= shown:
            self._captured.popleft()

    def _in_time(self, now: int) -> bool:
        """Whether pictures are to be trusted now."""
        overdue = now - self._delay - self._captured[0][1] if self._captured else 0
        if overdue > self._late_after:
            self._lapsed, self._in_time_since = True, None
        elif self._lapsed:
            if self._in_time_since is None:
                self._in_time_since = now
            self._lapsed = now - self._in_time_since < SETTLE_US
        return not self._lapsed
