"""Frame accounting alone: one outcome for every frame, in order, whatever happens."""

from __future__ import annotations

import random

import pytest

from c2r.wire import (
    DroppedFrame,
    DropReason,
    ErrorCode,
    FailedFrame,
    Fault,
    FrameReply,
    RenderedFrame,
    ResetReason,
)
from engine_bridge.client import account as account_module
from engine_bridge.client.account import UNREAD_RENDERED, Account
from tests.engine_bridge.client_rig import assert_each_once, frame, kind, kinds


def rendered(frame_id: int) -> RenderedFrame:
    return RenderedFrame(frame_id, 1, frame(frame_id).rgb)


def outcomes(account: Account) -> list[FrameReply]:
    taken = []
    while (outcome := account.next_outcome()) is not None:
        taken.append(outcome)
    return taken


def account_with(window: int, count: int) -> Account:
    """`count` frames submitted, as many sent as may be."""
    account = Account()
    account.set_window(window)
    for index in range(count):
        account.submit(frame(index))
        account.take()
    return account


def test_beyond_the_window_the_newest_frame_waits() -> None:
    account = account_with(window=3, count=10)
    assert account.waiting == 1
    assert account.blocked
    account.settle(rendered(0))
    sent = account.take()
    assert sent is not None
    assert sent.frame_id == 9
    assert account.take() is None
    for index in (1, 2, 9):
        account.settle(rendered(index))
    taken = outcomes(account)
    assert_each_once(taken, range(10))
    assert [kind(one) for one in taken] == ["rendered"] * 3 + ["unsent"] * 6 + ["rendered"]


def test_a_slow_sender_keeps_what_the_window_has_room_for() -> None:
    account = Account()
    account.set_window(4)
    for index in range(4):
        assert account.has_room
        account.submit(frame(index))
    assert not account.has_room
    account.submit(frame(4))
    sent = [one.frame_id for one in iter(account.take, None)]
    assert sent == [1, 2, 3, 4], "the oldest goes, the newest stays"


def test_without_a_connection_one_frame_waits() -> None:
    account = Account()
    for index in range(5):
        account.submit(frame(index))
    assert account.waiting == 1
    assert kinds(outcomes(account)) == {"unsent": 4}
    account.set_window(2)
    sent = account.take()
    assert sent is not None
    assert sent.frame_id == 4


def test_outcomes_come_in_frame_order_though_answers_do_not() -> None:
    account = account_with(window=4, count=4)
    account.settle(DroppedFrame(3, 1, DropReason.SUPERSEDED))
    account.settle(rendered(1))
    assert account.next_outcome() is None
    account.settle(rendered(0))
    assert_each_once(outcomes(account), [0, 1])
    account.settle(FailedFrame(2, 1, Fault(ErrorCode.INVALID, "no")))
    assert_each_once(outcomes(account), [2, 3])


def test_answers_to_nothing_in_flight_are_strays() -> None:
    account = account_with(window=2, count=2)
    assert account.settle(rendered(0)) is not None
    assert account.settle(rendered(0)) is None
    assert account.settle(rendered(77)) is None
    assert account.counts.stray == 2
    assert_each_once(outcomes(account), [0])


def test_a_break_loses_what_is_in_flight_and_keeps_what_waits() -> None:
    account = account_with(window=3, count=5)
    assert account.lose() == 3
    assert kinds(outcomes(account)) == {"lost": 3, "unsent": 1}
    assert account.settle(rendered(0)) is None, "an answer after the break comes too late"
    account.set_window(3)
    sent = account.take()
    assert sent is not None
    assert sent.frame_id == 4


@pytest.mark.parametrize("how", ["replaced", "lost", "refused"])
def test_a_reset_that_never_arrived_goes_with_the_next_frame(how: str) -> None:
    account = Account()
    account.set_window(1)
    account.submit(frame(0))
    account.take()
    if how == "replaced":
        account.submit(frame(1, ResetReason.TELEPORT))
        account.submit(frame(2))
        account.settle(rendered(0))
    else:
        account.settle(rendered(0))
        account.submit(frame(1, ResetReason.TELEPORT))
        taken = account.take()
        assert taken is not None
        if how == "lost":
            account.lose()
            account.set_window(1)
        else:
            account.refuse(taken, Fault(ErrorCode.TOO_LARGE, "no"))
        account.submit(frame(2))
    sent = account.take()
    assert sent is not None
    assert (sent.frame_id, sent.reset) == (2, ResetReason.TELEPORT)
    account.settle(rendered(2))
    account.submit(frame(3))
    after = account.take()
    assert after is not None
    assert after.reset is None


def test_ids_must_go_up_and_a_closed_account_takes_nothing() -> None:
    account = account_with(window=3, count=3)
    with pytest.raises(ValueError, match="ids must go up"):
        account.submit(frame(2))
    account.close()
    with pytest.raises(RuntimeError, match="closed"):
        account.submit(frame(3))
    assert_each_once(outcomes(account), range(3))
    assert account.finished


def test_a_halted_account_drops_frames_at_once() -> None:
    account = account_with(window=2, count=3)
    account.halt()
    account.submit(frame(3))
    taken = outcomes(account)
    assert_each_once(taken, range(4))
    assert [kind(one) for one in taken] == ["lost", "lost", "unsent", "unsent"]


def test_unread_rendered_frames_stop_the_sending() -> None:
    account = Account()
    account.set_window(4)
    sent = 0
    for index in range(10 * UNREAD_RENDERED):
        account.submit(frame(index))
        if account.take() is not None:
            account.settle(rendered(index))
            sent += 1
    assert sent <= UNREAD_RENDERED + 4
    assert not account.wait_for_room(0)
    assert not account.blocked, "the reader is at fault, not the server"
    read = outcomes(account)
    assert account.has_room
    assert_each_once(read, range(10 * UNREAD_RENDERED - 1))


def test_unread_outcomes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(account_module, "MAX_UNREAD", 100)
    account = Account()
    for index in range(100):
        account.submit(frame(index))
    with pytest.raises(RuntimeError, match="call poll"):
        account.submit(frame(100))
    outcomes(account)
    account.submit(frame(100))


@pytest.mark.parametrize("seed", range(20))
def test_any_order_of_events_gives_each_frame_one_outcome_in_order(seed: int) -> None:
    rng = random.Random(seed)
    account, in_flight, taken, next_id = Account(), [], [], 0
    for _ in range(400):
        event = rng.choice(["submit"] * 4 + ["take"] * 3 + ["answer"] * 3 + ["read", "rare"])
        if event == "submit":
            account.submit(frame(next_id))
            next_id += rng.choice([1, 1, 3])
        elif event == "take" and (sent := account.take()) is not None:
            in_flight.append(sent.frame_id)
        elif event == "answer" and in_flight:
            answered = in_flight.pop(rng.randrange(len(in_flight)))
            replies: list[FrameReply] = [
                rendered(answered),
                DroppedFrame(answered, 1, DropReason.SUPERSEDED),
            ]
            account.settle(rng.choice(replies))
        elif event == "read":
            taken += outcomes(account)
        elif event == "rare":
            if rng.random() < 0.3:
                account.lose()
                in_flight.clear()
            account.set_window(rng.randrange(6))
    counts = account.counts
    account.close()
    taken += outcomes(account)
    ids = [one.frame_id for one in taken]
    assert ids == sorted(set(ids))
    assert len(ids) == counts.submitted
    total = account.counts
    assert total.submitted == total.rendered + total.failed + sum(total.dropped.values())
