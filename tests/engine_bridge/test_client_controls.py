"""Control changes alone: exactly one acknowledgement for each, and none is forgotten."""

from __future__ import annotations

import pytest

from c2r.wire import ErrorCode, Fault, OpenRequest, WireError, default_codecs
from c2r.wire.events import ControlAck
from engine_bridge.client.controls import MOST, Controls


def controls() -> Controls:
    codecs = default_codecs(loopback=True)
    return Controls(OpenRequest(64, 32, 16.0, codecs, prompt="noon"))


def notices(books: Controls) -> list[ControlAck]:
    return list(iter(books.next_notice, None))


def test_what_was_acknowledged_is_in_force_for_the_next_session() -> None:
    books = controls()
    first, second = books.change(prompt="night"), books.change(strength=0.5)
    assert [books.take().control_id, books.take().control_id] == [first, second]  # type: ignore[union-attr]
    assert books.acknowledge(ControlAck(first, frame_id=3))
    refusal = Fault(ErrorCode.INVALID, "no")
    assert books.acknowledge(ControlAck(second, refused=refusal))
    assert not books.acknowledge(ControlAck(first, frame_id=3)), "once only"
    assert (books.opening.prompt, books.opening.strength) == ("night", 1.0)


def test_unanswered_changes_are_sent_again_first_and_in_order() -> None:
    books = controls()
    ids = [books.change(prompt="a"), books.change(prompt="b")]
    books.take(), books.take()
    ids.append(books.change(prompt="c"))
    books.reopen()
    again = [change.control_id for change in iter(books.take, None)]
    assert again == ids
    assert books.opening.prompt == "noon"


def test_too_many_changes_fold_into_one_another() -> None:
    books = controls()
    first = books.change(prompt="kept", blend_chunks=5)
    ids = [books.change(strength=index / 100) for index in range(MOST + 9)]
    refused = notices(books)
    assert [ack.control_id for ack in refused] == [first, *ids[:9]]
    assert all(ack.refused is not None for ack in refused)
    sent = list(iter(books.take, None))
    assert len(sent) == MOST
    assert (sent[0].prompt, sent[0].blend_chunks) == ("kept", 5), "a fold loses no setting"
    assert sent[-1].strength == (MOST + 8) / 100


def test_the_end_refuses_everything_with_its_reason() -> None:
    books = controls()
    sent = books.change(prompt="a")
    books.take()
    waits = books.change(prompt="b")
    books.finish("the token is wrong")
    late = books.change(prompt="c")
    acks = notices(books)
    assert [ack.control_id for ack in acks] == [sent, waits, late]
    assert all(ack.refused and ack.refused.message == "the token is wrong" for ack in acks)


def test_wrong_values_are_refused_at_once() -> None:
    with pytest.raises(WireError, match="strength"):
        controls().change(strength=3.0)
    with pytest.raises(WireError, match="changes nothing"):
        controls().change(blend_chunks=2)
