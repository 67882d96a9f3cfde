"""The playout buffer: paces rendered frames, which arrive in chunks, and falls back to coarse ones.

Frames are played by capture time plus a playout delay. The delay is the longest capture-to-arrival
time of the last seconds, so that the last frame of a chunk is still on the screen when the next
chunk arrives; it grows at once and shrinks slowly, by playing a little faster. When a due frame is
late by `late_after_s`, or frames take longer than `max_delay_s`, the newest coarse frame is shown
until rendered frames have been in time again for a while.

Pure logic on a given clock; for one thread.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2r.wire import CoarseFrame, FrameReply, RenderedFrame
from engine_bridge.client.statistics import Clock, monotonic_us

MEMORY_US = 3_000_000
"""The delay covers what happened in the last three seconds."""
MARGIN_US = 15_000
CATCH_UP = 0.05
"""Share by which playout is faster while the delay is longer than needed."""
SETTLE_US = 500_000
"""How long rendered frames must be in time before they replace coarse ones again."""
CAPACITY = 128
"""Rendered frames that may wait; when one more arrives, the oldest is shown at once."""


@dataclass(frozen=True, eq=False)
class View:
    """What to put on the screen: a rendered frame, or a coarse one (`rendered` None)."""

    rgb: NDArray[np.uint8]
    frame_id: int
    rendered: RenderedFrame | None


class Presenter:
    """Takes every captured frame and every outcome; `view` says what to show now.

    `late_after_s`: how long the screen may freeze for a frame that is due. `max_delay_s`: the
    greatest age of a rendered frame on arrival. Both in seconds, above 0.
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
        self._rendered: deque[RenderedFrame] = deque()
        self._shown: RenderedFrame | None = None
        self._awaits_view = False
        self._took: deque[tuple[int, int]] = deque()
        self._delay = 0
        self._viewed_at = clock()
        self._fallen_back = False
        self._in_time_since: int | None = None
        self.unseen = 0
        """Rendered frames that arrived too late, or whose time passed between two views."""

    def capture(self, frame: CoarseFrame) -> None:
        self._coarse = frame
        self._captured.append((frame.frame_id, frame.capture_time_us))

    def receive(self, reply: FrameReply) -> None:
        """Only rendered frames matter here."""
        if not isinstance(reply, RenderedFrame):
            return
        took = self._clock() - reply.capture_time_us
        if took > self._max_delay:
            self.unseen += 1
            return
        self._note(took)
        if len(self._rendered) == CAPACITY:
            self._hurry()
        self._rendered.append(reply)

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
        """The playout delay: from capture to display."""
        return self._delay / 1000

    @property
    def buffer_ms(self) -> float:
        """Playout time of the frames that wait."""
        if not self._rendered:
            return 0.0
        played = self._clock() - self._delay
        return max(0, self._rendered[-1].capture_time_us - played) / 1000

    def _note(self, took: int) -> None:
        """The delay grows at once to what a frame took to arrive."""
        now = self._clock()
        self._took.append((now, took))
        while now - self._took[0][0] > MEMORY_US:
            self._took.popleft()
        self._delay = min(self._max_delay, max(self._delay, took + MARGIN_US))

    def _hurry(self) -> None:
        """The delay falls to the age of the oldest waiting frame, which is then due. A delay left
        over from slower times would hold frames back until they are pushed out unseen.
        """
        now = self._clock()
        age = max(0, now - self._rendered[0].capture_time_us)
        self._took = deque((at, took) for at, took in self._took if took <= age)
        self._delay = min(self._delay, age)
        self._advance(self._rendered[0].capture_time_us)

    def _shrink_delay(self, now: int) -> None:
        elapsed, self._viewed_at = now - self._viewed_at, now
        recent = [took for at, took in self._took if now - at <= MEMORY_US]
        if recent:
            needed = min(self._max_delay, max(recent) + MARGIN_US)
            self._delay = max(needed, self._delay - round(CATCH_UP * elapsed))

    def _advance(self, played: int) -> None:
        """Show the newest frame whose time has come."""
        while self._rendered and self._rendered[0].capture_time_us <= played:
            self.unseen += self._awaits_view
            self._shown, self._awaits_view = self._rendered.popleft(), True
        shown = -1 if self._shown is None else self._shown.frame_id
        while self._captured and self._captured[0][0] <= shown:
            self._captured.popleft()

    def _in_time(self, now: int) -> bool:
        """Whether rendered frames are in time, with hysteresis against flicker."""
        overdue = now - self._delay - self._captured[0][1] if self._captured else 0
        if overdue > self._late_after:
            self._fallen_back, self._in_time_since = True, None
        elif self._fallen_back:
            if self._in_time_since is None:
                self._in_time_since = now
            self._fallen_back = now - self._in_time_since < SETTLE_US
        return not self._fallen_back
