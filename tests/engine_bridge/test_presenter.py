"""The presenter on a virtual clock: even pace, bounded delay, never a black screen."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pytest

from c2r.wire import CoarseFrame, DroppedFrame, DropReason, RenderedFrame
from engine_bridge.client.presenter import CAPACITY, Presenter, View

STEP = 50_000
"""Microseconds between captures: 20 frames a second."""
PIXEL = np.zeros((1, 1, 3), np.uint8)


class Playout:
    """A presenter, its clock, and rendered frames that arrive in chunks after a delay."""

    def __init__(self, **changes: float) -> None:
        self.now = 1_000_000
        self.presenter = Presenter(clock=lambda: self.now, **changes)
        self.begun = self.now
        self._coming: list[tuple[int, int]] = []

    def captured(self, frame_id: int) -> int:
        return self.begun + frame_id * STEP

    def send(self, ids: Iterable[int], arrive: int) -> None:
        """These frames will arrive together."""
        self._coming += [(arrive, frame_id) for frame_id in ids]

    def play(self, until: int, tick: int = 10_000) -> list[View]:
        """What was on the screen at every tick."""
        views = []
        while self.now < until:
            newest = (self.now - self.begun) // STEP
            if (self.now - self.begun) % STEP == 0:
                self.presenter.capture(CoarseFrame(newest, self.now, PIXEL))
            for arrive, frame_id in sorted(self._coming):
                if arrive <= self.now:
                    self._coming.remove((arrive, frame_id))
                    reply = RenderedFrame(frame_id, self.captured(frame_id), PIXEL)
                    self.presenter.receive(reply)
            view = self.presenter.view()
            assert view is not None, "never a black screen"
            views.append(view)
            self.now += tick
        return views


def chunked(playout: Playout, chunks: int, size: int, render: Callable[[int], int]) -> None:
    """Chunks that are rendered `render(index)` microseconds after their last capture."""
    for index in range(chunks):
        ids = range(index * size, (index + 1) * size)
        playout.send(ids, playout.captured(ids[-1]) + render(index))


def holds(views: list[View]) -> list[int]:
    """For how many ticks each frame stayed."""
    lengths: list[int] = []
    last = None
    for view in views:
        if view.frame_id == last:
            lengths[-1] += 1
        else:
            lengths.append(1)
        last = view.frame_id
    return lengths


def test_frames_that_arrive_in_chunks_are_shown_evenly() -> None:
    playout = Playout()
    chunked(playout, chunks=10, size=12, render=lambda _: 200_000)
    views = playout.play(playout.captured(110))
    steady = views[len(views) // 3 :]
    assert all(view.rendered is not None for view in steady)
    ids = [view.frame_id for view in steady]
    assert sorted(set(ids)) == list(range(ids[0], ids[-1] + 1)), "no frame is left out"
    assert set(holds(steady)[1:-1]) <= {4, 5, 6}, "each stays for one step of 5 ticks"
    # The first frame of a chunk waits for the eleven after it, then for the rendering.
    assert playout.presenter.delay_ms == pytest.approx(11 * 50 + 200, abs=30)
    assert playout.presenter.unseen == 0


def test_jitter_is_covered_after_it_was_seen_once() -> None:
    playout = Playout()
    late = np.random.default_rng(3).integers(50_000, 250_000, 12)
    late[2] = 250_000
    chunked(playout, chunks=12, size=8, render=lambda index: int(late[index]))
    views = playout.play(playout.captured(85))
    steady = views[len(views) // 2 :]
    assert all(view.rendered is not None for view in steady)
    assert max(holds(steady)) <= 7


def test_the_delay_shrinks_slowly_when_the_renderer_gets_faster() -> None:
    playout = Playout()
    chunked(playout, chunks=100, size=4, render=lambda index: 600_000 if index < 10 else 50_000)
    playout.play(playout.captured(60))
    slow = playout.presenter.delay_ms
    views = playout.play(playout.captured(390))
    assert slow > 700
    assert playout.presenter.delay_ms < 350
    assert min(holds(views)[1:-1]) >= 4, "a little faster, not in leaps"


def test_before_the_first_rendered_frame_the_coarse_frame_is_shown() -> None:
    playout = Playout()
    assert playout.presenter.view() is None
    views = playout.play(playout.captured(10))
    assert all(view.rendered is None for view in views)
    assert views[-1].frame_id == 9, "the newest one"


def test_a_lost_renderer_gives_way_to_coarse_frames_in_the_stated_time() -> None:
    playout = Playout(late_after_s=0.3)
    chunked(playout, chunks=5, size=8, render=lambda _: 100_000)
    views = playout.play(playout.captured(80))
    ticks = [index for index, view in enumerate(views) if view.rendered is not None]
    last_rendered = playout.begun + ticks[-1] * 10_000
    due = playout.captured(40) + playout.presenter.delay_ms * 1000
    assert last_rendered <= due + 300_000 + 20_000
    assert views[-1].rendered is None
    assert views[-1].frame_id == 79


def test_a_renderer_that_comes_back_is_trusted_after_a_while() -> None:
    playout = Playout(late_after_s=0.2)
    chunked(playout, chunks=4, size=8, render=lambda _: 100_000)
    for index in range(10, 20):
        ids = range(index * 8, (index + 1) * 8)
        playout.send(ids, playout.captured(ids[-1]) + 100_000)
    views = playout.play(playout.captured(150))
    shown = [view.rendered is not None for view in views]
    changes = [index for index in range(1, len(shown)) if shown[index] != shown[index - 1]]
    assert [shown[index] for index in changes] == [True, False, True], "no flicker"
    back = playout.begun + changes[-1] * 10_000
    assert back >= playout.captured(80) + 500_000


def test_a_renderer_that_is_always_too_late_is_never_shown() -> None:
    playout = Playout(max_delay_s=0.5)
    chunked(playout, chunks=8, size=8, render=lambda _: 900_000)
    views = playout.play(playout.captured(70))
    assert all(view.rendered is None for view in views)
    assert playout.presenter.unseen > 40


def test_a_renderer_that_skips_frames_is_still_shown() -> None:
    """Every fourth frame is rendered: slower than the game, but in time."""
    playout = Playout()
    for frame_id in range(0, 120, 4):
        playout.send([frame_id], playout.captured(frame_id) + 150_000)
    views = playout.play(playout.captured(110))
    steady = views[len(views) // 3 :]
    assert all(view.rendered is not None for view in steady)
    assert set(holds(steady)[1:-1]) <= {19, 20, 21}


def test_drops_change_nothing_and_the_store_is_bounded() -> None:
    playout = Playout()
    presenter = playout.presenter
    presenter.capture(CoarseFrame(0, playout.now, PIXEL))
    presenter.receive(DroppedFrame(0, playout.now, DropReason.LOST))
    view = presenter.view()
    assert view is not None
    assert view.rendered is None
    for frame_id in range(3 * CAPACITY):
        presenter.receive(RenderedFrame(frame_id, playout.now + frame_id * STEP, PIXEL))
    assert presenter.unseen == 2 * CAPACITY - 1, "the last of them is on the screen"
    assert presenter.buffer_ms == pytest.approx((3 * CAPACITY - 1) * 50, rel=0.01)


def test_a_delay_longer_than_the_store_gives_way_to_rendered_frames() -> None:
    """One chunk takes ten seconds, then all are quick; the store holds 6.4 seconds."""
    playout = Playout(max_delay_s=30.0, late_after_s=30.0)
    chunked(playout, 40, 12, lambda index: 10_000_000 if index == 0 else 50_000)
    playout.play(playout.captured(0) + 10_800_000)
    views = playout.play(playout.captured(40 * 12 - 1))
    shown = {view.frame_id for view in views if view.rendered is not None}
    assert len(shown) >= 0.5 * (playout.now - playout.begun - 10_800_000) / STEP


def test_times_must_be_positive() -> None:
    with pytest.raises(ValueError, match="above 0"):
        Presenter(late_after_s=0)
