"""Gathering frames into chunks and dropping them, on a clock made of numbers."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2r.wire import DropReason, ResetReason
from runtime.core import ChunkRequest, ReceivedFrame
from runtime.session.inbox import Inbox, TokenBucket

FIRST, LATER = 5, 8


def item(number: int, at_s: float = 0.0, *, reset: bool = False) -> ReceivedFrame:
    reason = ResetReason.CUT if reset else None
    frame: Any = SimpleNamespace(frame_id=number, reset=reason)
    return ReceivedFrame(frame, at_s)


def inbox(**changes: Any) -> Inbox:
    return Inbox(FIRST, LATER, **{"bound": 2 * LATER, **changes})


def ids(items: Any) -> list[int]:
    return [one.frame.frame_id for one in items]


def fill(box: Inbox, numbers: range, at_s: float = 0.0) -> list[tuple[int, DropReason]]:
    dropped = []
    for number in numbers:
        dropped += [(one.frame.frame_id, why) for one, why in box.add(item(number, at_s))]
    return dropped


def test_chunks_are_first_then_later():
    box = inbox()
    assert fill(box, range(4)) == []
    assert not box.ready
    assert box.take(0.0) is None
    assert fill(box, range(4, 14)) == []
    chunk = box.take(0.0)
    assert chunk is not None
    assert (ids(chunk.frames), chunk.size, chunk.first, chunk.reset) == (
        [*range(5)],
        5,
        True,
        False,
    )
    assert not box.ready, "one chunk at a time"
    assert box.take(0.0) is None
    box.done(1.0)
    chunk = box.take(1.0)
    assert chunk is not None
    assert (ids(chunk.frames), chunk.size, chunk.first) == ([*range(5, 13)], 8, False)
    assert len(box) == 1


def test_a_stream_that_goes_on_has_no_first_chunk():
    box = inbox(first=False)
    fill(box, range(8))
    chunk = box.take(0.0)
    assert chunk is not None
    assert (chunk.size, chunk.first) == (8, False)


def test_a_reset_drops_what_waits_and_starts_a_first_chunk():
    box = inbox(first=False)
    fill(box, range(8))
    assert box.take(0.0) is not None
    fill(box, range(8, 11))
    dropped = box.add(item(11, reset=True))
    assert [(one.frame.frame_id, why) for one, why in dropped] == [
        (number, DropReason.RESET) for number in (8, 9, 10)
    ]
    fill(box, range(12, 16))
    box.done(0.1)
    chunk = box.take(0.1)
    assert chunk is not None
    assert (ids(chunk.frames), chunk.first, chunk.reset) == ([*range(11, 16)], True, True)
    box.done(0.2)
    fill(box, range(16, 24), 0.3)
    chunk = box.take(0.3)
    assert chunk is not None
    assert (chunk.first, chunk.reset) == (False, False), "the reset is over"


def test_a_reset_survives_the_loss_of_its_frame():
    box = inbox(first=False, bound=8)
    fill(box, range(8))
    assert box.take(0.0) is not None
    box.add(item(8, reset=True))
    assert (8, DropReason.SUPERSEDED) in fill(box, range(9, 18))
    box.failed()
    chunk = box.take(0.0)
    assert chunk is not None
    assert chunk.reset
    assert chunk.first


def test_the_end_takes_a_partial_chunk():
    box = inbox()
    fill(box, range(3))
    chunk = box.take(0.0, partial=True)
    assert chunk is not None
    assert (ids(chunk.frames), chunk.size) == ([0, 1, 2], 5)
    box.done(0.1)
    assert box.take(0.1, partial=True) is None


def test_newest_wins_beyond_the_window():
    box = inbox()
    fill(box, range(5))
    assert box.take(0.0) is not None
    assert fill(box, range(5, 16)) == []
    assert fill(box, range(16, 19)) == [(number, DropReason.SUPERSEDED) for number in (5, 6, 7)]
    box.done(1.0)
    chunk = box.take(1.0)
    assert chunk is not None
    assert ids(chunk.frames) == [*range(8, 16)]


def test_after_a_fault_the_next_chunk_is_a_first_one():
    box = inbox(first=False)
    fill(box, range(8))
    assert box.take(0.0) is not None
    fill(box, range(8, 14))
    box.failed()
    assert box.take(0.0) is None
    box.restart()
    assert box.ready
    chunk = box.take(0.0)
    assert chunk is not None
    assert (ids(chunk.frames), chunk.first, chunk.reset) == ([*range(8, 13)], True, False)


class Play:
    """A producer and a renderer on one clock: who is rendered, dropped, and how late."""

    def __init__(self, box: Inbox, chunk_s: float) -> None:
        self.box, self.chunk_s = box, chunk_s
        self.rendered: dict[int, float] = {}
        self.dropped: dict[int, DropReason] = {}
        self.sent: dict[int, float] = {}
        self.chunks: list[list[int]] = []
        self._busy_until: float | None = None
        self._out: ChunkRequest | None = None

    def frame(self, number: int, now_s: float) -> None:
        self.catch_up(now_s)
        self.sent[number] = now_s
        for one, why in self.box.add(item(number, now_s)):
            assert one.frame.frame_id not in self.dropped
            self.dropped[one.frame.frame_id] = why
        self._start(now_s)

    def catch_up(self, now_s: float) -> None:
        while self._busy_until is not None and self._busy_until <= now_s:
            done_s = self._busy_until
            assert self._out is not None
            for number in ids(self._out.frames):
                assert number not in self.rendered
                self.rendered[number] = done_s
            self.box.done(done_s)
            self._busy_until = None
            self._start(done_s)

    def _start(self, now_s: float) -> None:
        if self._busy_until is None and (out := self.box.take(now_s)) is not None:
            self._out = out
            self.chunks.append(ids(out.frames))
            self._busy_until = now_s + self.chunk_s * out.size / LATER

    def latencies(self) -> np.ndarray:
        return np.array([self.rendered[one] - self.sent[one] for one in self.rendered])


def test_too_fast_a_stream_is_thinned_evenly_and_stays_young():
    """60 fps into 10 fps: every frame of a chunk about a tenth of a second from the next."""
    chunk_s = 0.8
    play = Play(inbox(), chunk_s)
    for number in range(60 * 30):
        play.frame(number, number / 60)
    steady = play.chunks[5:-1]
    assert len(steady) > 20
    gaps = np.concatenate([np.diff(chunk) for chunk in steady])
    assert gaps.min() >= 5
    assert gaps.max() <= 7
    assert np.percentile(play.latencies(), 95) <= 2 * chunk_s + 0.02
    assert set(play.dropped.values()) == {DropReason.SUPERSEDED}
    assert len(play.rendered) > 0.97 * 30 / chunk_s * LATER, "the renderer never waits"


def test_a_little_too_fast_loses_only_a_little():
    """24 fps into 20 fps must not become 12 fps."""
    play = Play(inbox(), LATER / 20)
    for number in range(24 * 20):
        play.frame(number, number / 24)
    assert len(play.rendered) > 0.95 * 20 * 20


def test_a_renderer_that_keeps_up_keeps_every_frame():
    play = Play(inbox(), 0.3)
    draw = np.random.default_rng(3)
    for number in range(400):
        play.frame(number, number / 20 + draw.uniform(0, 0.03))
    play.catch_up(1e9)
    assert play.dropped == {}
    assert len(play.rendered) == 400 - len(play.box)


@pytest.mark.parametrize("spread", [0.0, 0.4])
def test_a_client_that_sends_as_replies_come_keeps_every_frame(spread):
    """It sends a chunk at once whenever one comes back, to a renderer of uneven speed."""
    box, draw, now_s, number = inbox(), np.random.default_rng(1), 0.0, 0
    unanswered, rendered = 0, 0
    for _ in range(300):
        while unanswered < 2 * LATER:
            assert box.add(item(number, now_s)) == []
            number, unanswered = number + 1, unanswered + 1
        chunk = box.take(now_s)
        assert chunk is not None
        now_s += 0.8 * draw.uniform(1 - spread, 1 + spread)
        box.done(now_s)
        unanswered -= len(chunk.frames)
        rendered += len(chunk.frames)
    assert rendered + len(box) == number


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["add"] * 6 + ["reset", "take", "partial", "done", "fail", "clear"]),
            st.floats(0, 0.2),
        ),
        max_size=120,
    )
)
def test_every_frame_leaves_exactly_once(steps):
    box, now_s, number = inbox(), 0.0, 0
    left: Counter[int] = Counter()
    out: ChunkRequest | None = None
    last_taken = -1
    for step, wait_s in steps:
        now_s += wait_s
        if step in ("add", "reset"):
            dropped = box.add(item(number, now_s, reset=step == "reset"))
            left.update(one.frame.frame_id for one, _ in dropped)
            number += 1
        elif step in ("take", "partial"):
            taken = box.take(now_s, partial=step == "partial")
            if taken is not None:
                assert out is None
                out = taken
                assert 1 <= len(taken.frames) <= taken.size == (FIRST if taken.first else LATER)
                assert ids(taken.frames) == sorted(ids(taken.frames))
                assert ids(taken.frames)[0] > last_taken
                last_taken = ids(taken.frames)[-1]
                left.update(ids(taken.frames))
        elif step in ("done", "fail") and out is not None:
            if step == "done":
                box.done(now_s)
            else:
                box.failed()
                box.restart()
            out = None
        elif step == "clear":
            left.update(ids(box.clear()))
        out_now = 0 if out is None else len(out.frames)
        assert len(box) + out_now <= 2 * LATER
    left.update(ids(box.clear()))
    assert left == Counter(range(number))


def test_a_bucket_lets_a_burst_pass_and_then_its_rate():
    bucket = TokenBucket(capacity=3, rate=10)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.15), bucket.take(0.16)] == [True, False]
    assert all(TokenBucket(capacity=1).take(0.0) for _ in range(100))
