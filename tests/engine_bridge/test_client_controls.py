"""Control changes alone: exactly one acknowledgement for each, and none is lost."""

from __future__ import annotations

import pytest

from c2r.wire import ErrorCode, Fault, OpenRequest, WireError, default_codecs
from c2r.wire.events import ControlAck
from engine_bridge.client.controls import MOST, Controls


def controls() -> Controls:
    codecs = default_codecs(loopback=True)
    return Controls(OpenRequest(64, 32, 16.0, codecs, prompt="noon"))


def notices(changes: Controls) -> list[ControlAck]:
    return list(iter(changes.next_notice, None))


def test_what_was_acknowledged_opens_the_next_session() -> None:
    changes = controls()
    first, second = changes.change(prompt="night"), changes.change(strength=0.5)
    assert [changes.take().control_id, changes.take().control_id] == [first, second]  # type: ignore[union-attr]
    assert changes.acknowledge(ControlAck(first, frame_id=3))
    refusal = Fault(ErrorCode.INVALID, "no")
    assert changes.acknowledge(ControlAck(second, refused=refusal))
    assert not changes.acknowledge(ControlAck(first, frame_id=3)), "once only"
    assert (changes.opening.prompt, changes.opening.strength) == ("night", 1.0)


def test_unanswered_changes_are_sent_again_first_and_in_order() -> None:
    changes = controls()
    ids = [changes.change(prompt="a"), changes.change(prompt="b")]
    changes.take(), changes.take()
    ids.append(changes.change(prompt="c"))
    changes.reopen()
    again = [change.control_id for change in iter(changes.take, None)]
    assert again == ids
    assert changes.opening.prompt == "noon"


def test_too_many_changes_are_merged() -> None:
    changes = controls()
    first = changes.change(prompt="kept", blend_chunks=5)
    ids = [changes.change(strength=index / 100) for index in range(MOST + 9)]
    refused = notices(changes)
    assert [ack.control_id for ack in refused] == [first, *ids[:9]]
    assert all(ack.refused is not None for ack in refused)
    sent = list(iter(changes.take, None))
    assert len(sent) == MOST
    assert (sent[0].prompt, sent[0].blend_chunks) == ("kept", 5), "a merge loses no setting"
    assert sent[-1].strength == (MOST + 8) / 100


def test_the_end_refuses_everything_with_its_reason() -> None:
    changes = controls()
    sent = changes.change(prompt="a")
    changes.take()
    waits = changes.change(prompt="b")
    changes.finish("the token is wrong")
    late = changes.change(prompt="c")
    acks = notices(changes)
    assert [ack.control_id for ack in acks] == [sent, waits, late]
    assert all(ack.refused and ack.refused.message == "the token is wrong" for ack in acks)


def test_wrong_values_are_refused_at_once() -> None:
    with pytest.raises(WireError, match="strength"):
        controls().change(strength=3.0)
    with pytest.raises(WireError, match="changes nothing"):
        controls().change(blend_chunks=2)
