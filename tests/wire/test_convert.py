"""Dataclasses and messages: same fields, same values there and back, bad values refused."""

from __future__ import annotations

import dataclasses
import inspect
from enum import StrEnum
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from c2r.wire import events, handshake
from c2r.wire.convert import (
    MESSAGES,
    from_message,
    pack_request,
    pack_response,
    parse_request,
    parse_response,
    to_message,
    unpack_request,
    unpack_response,
)
from c2r.wire.enum_map import WIRE_ENUMS, member_of, number_of
from c2r.wire.errors import ErrorCode, Fault, WireError
from c2r.wire.formats import CodecChoice
from c2r.wire.v1 import renderer_pb2 as pb
from tests.wire.strategies import (
    ACCEPTED,
    ACK,
    CONTROL,
    END,
    ENDED,
    EVERY,
    FEEDBACK,
    FLOW,
    KEEPALIVE,
    OPEN,
    WARNING,
)

UNKNOWN: Any = 77
"""A number that no enum has; the stubs would not let it in."""


@pytest.mark.parametrize("cls", MESSAGES, ids=lambda cls: cls.__name__)
def test_a_dataclass_and_its_message_have_the_same_fields(cls: type) -> None:
    names = {field.name for field in dataclasses.fields(cls)}
    assert names == set(MESSAGES[cls].DESCRIPTOR.fields_by_name)


@pytest.mark.parametrize("cls", WIRE_ENUMS, ids=lambda cls: cls.__name__)
def test_every_number_of_an_enum_has_its_member(cls: type[StrEnum]) -> None:
    numbers = {value.number for value in WIRE_ENUMS[cls].DESCRIPTOR.values}
    found = {number_of(member) for member in cls}
    assert found in (numbers, numbers - {0})
    assert all(member_of(cls, number_of(member), "x") is member for member in cls)


def test_every_dataclass_of_the_contract_is_tested_here() -> None:
    assert set(EVERY) == set(MESSAGES)
    for module in (events, handshake):
        classes = dict(inspect.getmembers(module, dataclasses.is_dataclass)).values()
        own = {cls for cls in classes if cls.__module__ == module.__name__}
        assert own <= set(MESSAGES)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
@settings(deadline=None, max_examples=40, derandomize=True)
@given(data=st.data())
def test_there_and_back_is_the_same(cls: type, data: st.DataObject) -> None:
    value = data.draw(EVERY[cls])
    message = MESSAGES[cls].FromString(to_message(value).SerializeToString())
    assert from_message(cls, message) == value


@pytest.mark.parametrize("body", [OPEN, CONTROL, FEEDBACK, END], ids=repr)
@settings(deadline=None, max_examples=20, derandomize=True)
@given(data=st.data())
def test_requests_there_and_back(body: st.SearchStrategy[Any], data: st.DataObject) -> None:
    value = data.draw(body)
    assert unpack_request(parse_request(pack_request(value).SerializeToString())) == value


@pytest.mark.parametrize("body", [ACCEPTED, ACK, FLOW, WARNING, KEEPALIVE, ENDED], ids=repr)
@settings(deadline=None, max_examples=20, derandomize=True)
@given(data=st.data())
def test_responses_there_and_back(body: st.SearchStrategy[Any], data: st.DataObject) -> None:
    value = data.draw(body)
    assert unpack_response(parse_response(pack_response(value).SerializeToString())) == value


def test_an_empty_body_still_says_which_it_is() -> None:
    envelope = pack_request(events.EndRequest())
    assert parse_request(envelope.SerializeToString()).WhichOneof("body") == "end"


def test_a_newer_server_may_give_reasons_unknown_here() -> None:
    envelope = pb.RenderStreamResponse()
    envelope.ended.reason = UNKNOWN
    envelope.ended.statistics.SetInParent()
    ended = unpack_response(envelope)
    assert isinstance(ended, events.Ended)
    assert ended.reason is events.EndReason.UNSPECIFIED


def test_a_granted_codec_unknown_here_is_refused() -> None:
    choice = pb.CodecChoice(coarse=UNKNOWN, plane=pb.CODEC_RAW, picture=pb.CODEC_RAW)
    with pytest.raises(WireError, match="coarse: is 77") as caught:
        from_message(CodecChoice, choice)
    assert caught.value.code is ErrorCode.UNSUPPORTED


@pytest.mark.parametrize("which", [unpack_request, unpack_response])
def test_an_empty_envelope_is_refused_with_the_choices(which: Any) -> None:
    cls: type[Message] = (
        pb.RenderStreamRequest if which is unpack_request else pb.RenderStreamResponse
    )
    with pytest.raises(WireError, match="set one of: frame") as caught:
        which(cls())
    assert caught.value.code is ErrorCode.MALFORMED


@pytest.mark.parametrize("parse", [parse_request, parse_response])
@pytest.mark.parametrize("data", [b"\xff", b"\x0a\xff\xff\xff\x7f", b"\x0a\x03\x1a\x05a"])
def test_bytes_that_are_no_message_are_malformed(parse: Any, data: bytes) -> None:
    with pytest.raises(WireError) as caught:
        parse(data)
    assert caught.value.code is ErrorCode.MALFORMED


def test_a_control_change_must_change_something() -> None:
    envelope = pb.RenderStreamRequest()
    envelope.control.control_id = 3
    envelope.control.blend_chunks = 2
    with pytest.raises(WireError, match="control: changes nothing"):
        unpack_request(envelope)


def test_an_empty_prompt_is_a_change() -> None:
    envelope = pack_request(events.ControlChange(1, prompt=""))
    change = unpack_request(envelope)
    assert isinstance(change, events.ControlChange)
    assert (change.prompt, change.negative_prompt) == ("", None)


@pytest.mark.parametrize("blend", [0, 65])
def test_blending_has_bounds(blend: int) -> None:
    with pytest.raises(WireError, match="blend_chunks"):
        events.ControlChange(1, prompt="x", blend_chunks=blend)


def test_a_wire_error_is_a_value_error_and_survives_pickling() -> None:
    import pickle

    error = WireError(ErrorCode.INVALID, "is bad", "fov_y").inside("camera")
    assert isinstance(error, ValueError)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.fault) == ("camera.fov_y: is bad", error.fault)
    assert error.fault == Fault(ErrorCode.INVALID, "is bad", "camera.fov_y")
