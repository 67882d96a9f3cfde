"""Opening a session: defaults, versions, limits, and codecs of newer peers."""

from __future__ import annotations

from typing import Any

import pytest

from c2r.wire import events
from c2r.wire.checks import UINT32_MAX
from c2r.wire.convert import (
    pack_request,
    unpack_request,
)
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, CodecChoice, CodecLists
from c2r.wire.handshake import (
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    Limits,
    OpenRequest,
    check_protocol,
)
from c2r.wire.v1 import renderer_pb2 as pb


def open_request(**changes: Any) -> OpenRequest:
    lists = CodecLists((Codec.ZSTD, Codec.RAW), (Codec.JPEG,))
    return OpenRequest(**{"width": 256, "height": 144, "fps": 16.0, "codecs": lists, **changes})


def open_message(**changes: Any) -> pb.RenderStreamRequest:
    envelope = pack_request(open_request())
    for name, value in changes.items():
        setattr(envelope.open, name, value)
    return envelope


def set_codecs(envelope: pb.RenderStreamRequest, *numbers: Any) -> None:
    envelope.open.codecs.coarse[:] = numbers


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
