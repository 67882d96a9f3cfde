"""Dataclasses and messages: the same fields, the same values there and back, bad values refused."""

from __future__ import annotations

import dataclasses
import inspect
from enum import StrEnum
from typing import Any

import pytest
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from c2r.wire import events, handshake, replies
from c2r.wire.checks import MAX_SIDE, UINT32_MAX, UINT64_MAX
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
from c2r.wire.depth import DeviceDepth
from c2r.wire.enum_map import WIRE_ENUMS, member_of, number_of
from c2r.wire.errors import ErrorCode, Fault, WireError
from c2r.wire.formats import Codec, CodecChoice, CodecLists, SideChannel
from c2r.wire.handshake import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Accepted,
    Limits,
    OpenRequest,
    ServerInfo,
    check_protocol,
)
from c2r.wire.v1 import renderer_pb2 as pb

U32 = st.integers(0, UINT32_MAX)
U32_1 = st.integers(1, UINT32_MAX)
U64 = st.integers(0, UINT64_MAX)
SIDE = st.integers(1, MAX_SIDE)
MS = st.floats(0, allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(0, allow_nan=False, allow_infinity=False, exclude_min=True)
STRENGTH = st.floats(0, 2)
TEXT = st.text(max_size=60)
NAME = st.text(max_size=30)
TOKEN = st.binary(max_size=64)
CODECS = st.lists(st.sampled_from(Codec), min_size=1, max_size=6).map(tuple)
SIDE_CHANNELS = st.lists(st.sampled_from(SideChannel), max_size=3).map(tuple)
PLANE = st.sampled_from((Codec.RAW, Codec.ZSTD, Codec.LZ4))
MINOR = st.just(PROTOCOL_MINOR)
MAJOR = st.just(PROTOCOL_MAJOR)

FAULT = st.builds(Fault, st.sampled_from(ErrorCode), TEXT, TEXT)
LISTS = st.builds(CodecLists, CODECS, CODECS)
CHOICE = st.builds(CodecChoice, st.sampled_from(Codec), PLANE, st.sampled_from(Codec))
LIMITS = st.builds(Limits, SIDE, SIDE, U32_1, POSITIVE, U32_1, U32_1, POSITIVE)
VERSION = {"protocol_major": MAJOR, "protocol_minor": MINOR}
SIZE = {"width": SIDE, "height": SIDE, "fps": POSITIVE}
OPEN = st.builds(
    OpenRequest,
    **SIZE,
    codecs=LISTS,
    prompt=TEXT,
    negative_prompt=TEXT,
    strength=STRENGTH,
    seed=st.none() | U64,
    side_channels=SIDE_CHANNELS,
    resume_token=TOKEN,
    client=NAME,
    **VERSION,
)
ACCEPTED = st.builds(
    Accepted,
    session_id=NAME,
    **SIZE,
    chunk_latents=U32_1,
    first_chunk_frames=U32_1,
    chunk_frames=U32_1,
    max_in_flight_chunks=U32_1,
    codecs=CHOICE,
    limits=LIMITS,
    side_channels=SIDE_CHANNELS,
    strength=STRENGTH,
    seed=U64,
    resume_token=TOKEN,
    resume_grace_s=MS,
    resumed=st.booleans(),
    server=NAME,
    **VERSION,
)
INFO = st.builds(
    ServerInfo,
    preset=NAME,
    **SIZE,
    chunk_latents=U32_1,
    codecs=LISTS,
    limits=LIMITS,
    side_channels=SIDE_CHANNELS,
    ready=st.booleans(),
    random_weights=st.booleans(),
    device=NAME,
    sessions=U32,
    max_sessions=U32_1,
    server=NAME,
    **VERSION,
)
CONTROL = st.builds(
    events.ControlChange,
    U64,
    st.none() | TEXT,
    st.none() | TEXT,
    STRENGTH,
    st.none() | U64,
    st.none() | st.integers(1, 64),
)
ACK = st.one_of(
    st.builds(events.ControlAck, U64, U64, U32),
    st.builds(events.ControlAck, U64, st.none(), U32, FAULT),
)
FLOW = st.builds(events.Flow, U32, U32, U32, st.booleans())
FEEDBACK = st.builds(events.Feedback, st.none() | U64, MS, MS, MS, U64, st.booleans())
WARNING = st.builds(events.SessionWarning, st.sampled_from(events.WarningCode), TEXT)
KEEPALIVE = st.builds(events.Keepalive, U64)
END = st.builds(events.EndRequest, st.booleans())
STATISTICS = st.builds(events.SessionStatistics, U64, U64, U64, U64, U64, MS, MS, MS, MS)
ENDED = st.builds(events.Ended, st.sampled_from(events.EndReason), TEXT, st.booleans(), STATISTICS)
STAGES = st.builds(replies.StageTimes, *[MS] * 9)
DEVICE = st.one_of(
    st.builds(DeviceDepth, st.floats(0.01, 1), st.floats(2, 1e6), POSITIVE, st.booleans()),
    st.builds(DeviceDepth, POSITIVE, st.just(0.0), POSITIVE, st.booleans(), st.just(True)),
)
EVERY = {
    Accepted: ACCEPTED,
    CodecChoice: CHOICE,
    CodecLists: LISTS,
    DeviceDepth: DEVICE,
    Fault: FAULT,
    Limits: LIMITS,
    OpenRequest: OPEN,
    ServerInfo: INFO,
    events.ControlAck: ACK,
    events.ControlChange: CONTROL,
    events.EndRequest: END,
    events.Ended: ENDED,
    events.Feedback: FEEDBACK,
    events.Flow: FLOW,
    events.Keepalive: KEEPALIVE,
    events.SessionStatistics: STATISTICS,
    events.SessionWarning: WARNING,
    replies.StageTimes: STAGES,
}


UNKNOWN: Any = 77
"""A number that no enum has; the stubs would not let it in."""


def set_codecs(envelope: pb.RenderStreamRequest, *numbers: Any) -> None:
    envelope.open.codecs.coarse[:] = numbers


def open_request(**changes: Any) -> OpenRequest:
    lists = CodecLists((Codec.ZSTD, Codec.RAW), (Codec.JPEG,))
    return OpenRequest(**{"width": 256, "height": 144, "fps": 16.0, "codecs": lists, **changes})


def open_message(**changes: Any) -> pb.RenderStreamRequest:
    envelope = pack_request(open_request())
    for name, value in changes.items():
        setattr(envelope.open, name, value)
    return envelope


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


def test_unset_fields_take_the_defaults_that_the_contract_names() -> None:
    envelope = pb.RenderStreamRequest()
    message = envelope.open
    message.protocol_major, message.width, message.height, message.fps = PROTOCOL_MAJOR, 16, 16, 24
    message.codecs.coarse.append(pb.CODEC_RAW)
    message.codecs.picture.append(pb.CODEC_RAW)
    request = unpack_request(envelope)
    assert isinstance(request, OpenRequest)
    assert (request.strength, request.seed, request.prompt) == (1.0, None, "")
    assert request.resume_token == b""


@pytest.mark.parametrize(
    ("changes", "path", "code"),
    [
        ({"width": 0}, "open.width", ErrorCode.INVALID),
        ({"height": 70000}, "open.height", ErrorCode.INVALID),
        ({"fps": 0.0}, "open.fps", ErrorCode.INVALID),
        ({"fps": float("nan")}, "open.fps", ErrorCode.INVALID),
        ({"fps": float("inf")}, "open.fps", ErrorCode.INVALID),
        ({"strength": -0.1}, "open.strength", ErrorCode.INVALID),
        ({"strength": float("nan")}, "open.strength", ErrorCode.INVALID),
        ({"resume_token": bytes(65)}, "open.resume_token", ErrorCode.INVALID),
        ({"client": "x" * 129}, "open.client", ErrorCode.TOO_LARGE),
        ({"protocol_major": 0}, "protocol_major", ErrorCode.UNSUPPORTED),
        ({"protocol_major": 2}, "protocol_major", ErrorCode.UNSUPPORTED),
    ],
)
def test_bad_openings_name_the_field(changes: dict[str, Any], path: str, code: ErrorCode) -> None:
    with pytest.raises(WireError) as caught:
        unpack_request(open_message(**changes))
    assert (caught.value.field, caught.value.code) == (path, code)


def test_a_missing_part_is_named() -> None:
    envelope = open_message()
    envelope.open.ClearField("codecs")
    with pytest.raises(WireError, match=r"open\.codecs: is missing") as caught:
        unpack_request(envelope)
    assert caught.value.code is ErrorCode.MALFORMED


def test_codecs_of_a_newer_peer_are_passed_over_until_none_is_left() -> None:
    envelope = open_message()
    set_codecs(envelope, 0, 77, pb.CODEC_LZ4)
    request = unpack_request(envelope)
    assert isinstance(request, OpenRequest)
    assert request.codecs.coarse == (Codec.LZ4,)
    set_codecs(envelope, 77)
    with pytest.raises(WireError, match=r"open\.codecs\.coarse: names no known codec"):
        unpack_request(envelope)


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


def test_planes_are_granted_lossless_codecs_only() -> None:
    with pytest.raises(WireError, match="plane"):
        CodecChoice(Codec.JPEG, Codec.JPEG, Codec.JPEG)


@pytest.mark.parametrize("major", [0, PROTOCOL_MAJOR - 1, PROTOCOL_MAJOR + 1, UINT32_MAX])
def test_another_major_version_is_refused_and_says_who_is_older(major: int) -> None:
    older = "the peer" if major < PROTOCOL_MAJOR else "this side"
    with pytest.raises(WireError, match=f"update {older}") as caught:
        check_protocol(major, 0)
    assert caught.value.code is ErrorCode.UNSUPPORTED


def test_another_minor_version_warns_and_the_same_one_does_not() -> None:
    assert check_protocol(PROTOCOL_MAJOR, PROTOCOL_MINOR) is None
    warning = check_protocol(PROTOCOL_MAJOR, PROTOCOL_MINOR + 1)
    assert warning is not None
    assert warning.code is events.WarningCode.PROTOCOL_MINOR


def test_a_newer_minor_version_opens() -> None:
    request = unpack_request(open_message(protocol_minor=PROTOCOL_MINOR + 5))
    assert isinstance(request, OpenRequest)
    assert request.protocol_minor == PROTOCOL_MINOR + 5


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


def test_lone_surrogates_are_refused_before_protobuf_sees_them() -> None:
    with pytest.raises(WireError, match="surrogate"):
        open_request(prompt="\ud800")


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"width": 250}, "width", ErrorCode.INVALID),
        ({"height": 8}, "height", ErrorCode.INVALID),
        ({"width": 2048}, "width", ErrorCode.TOO_LARGE),
        ({"height": 1104}, "height", ErrorCode.TOO_LARGE),
        ({"fps": 241.0}, "fps", ErrorCode.TOO_LARGE),
        ({"prompt": "é" * 2049}, "prompt", ErrorCode.TOO_LARGE),
        ({"negative_prompt": "x" * 4097}, "negative_prompt", ErrorCode.TOO_LARGE),
    ],
)
def test_limits_hold_for_openings(changes: dict[str, Any], field: str, code: ErrorCode) -> None:
    with pytest.raises(WireError) as caught:
        Limits().check_open(open_request(**changes))
    assert (caught.value.field, caught.value.code) == (field, code)


def test_limits_let_good_sessions_pass() -> None:
    Limits().check_open(open_request(prompt="é" * 2048))
    Limits().check_open(open_request(width=832, height=480, fps=240.0))
    Limits().check_control(events.ControlChange(1, prompt="x" * 4096))
    with pytest.raises(WireError, match="4096"):
        Limits().check_control(events.ControlChange(1, negative_prompt="x" * 4097))


def test_a_wire_error_is_a_value_error_and_survives_pickling() -> None:
    import pickle

    error = WireError(ErrorCode.INVALID, "is bad", "fov_y").inside("camera")
    assert isinstance(error, ValueError)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.fault) == ("camera.fov_y: is bad", error.fault)
    assert error.fault == Fault(ErrorCode.INVALID, "is bad", "camera.fov_y")
