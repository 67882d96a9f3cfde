"""Dataclasses <-> protobuf messages, and the two envelopes of a stream.

A dataclass and its message have the same field names, so one pair of functions, driven by the type
hints, serves them all. Coarse and rendered frames go through `coarse_stream` and
`rendered_stream`, which know the session's codecs.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from enum import StrEnum
from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from c2r.wire import depth, errors, events, formats, handshake, replies
from c2r.wire.enum_map import known_members, member_of, number_of
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.events import (
    ControlAck,
    ControlChange,
    Ended,
    EndRequest,
    Feedback,
    Flow,
    Keepalive,
    SessionWarning,
)
from c2r.wire.handshake import Accepted, OpenRequest, check_protocol
from c2r.wire.v1 import renderer_pb2 as pb

T = TypeVar("T")
M = TypeVar("M", bound=Message)

RequestBody = OpenRequest | ControlChange | Feedback | EndRequest
ResponseBody = Accepted | ControlAck | Flow | SessionWarning | Keepalive | Ended

MESSAGES: dict[type, type[Message]] = {
    depth.DeviceDepth: pb.DeviceDepth,
    errors.Fault: pb.Fault,
    events.ControlAck: pb.ControlAck,
    events.ControlChange: pb.ControlChange,
    events.EndRequest: pb.EndRequest,
    events.Ended: pb.Ended,
    events.Feedback: pb.Feedback,
    events.Flow: pb.Flow,
    events.Keepalive: pb.Keepalive,
    events.SessionStatistics: pb.SessionStatistics,
    events.SessionWarning: pb.SessionWarning,
    formats.CodecChoice: pb.CodecChoice,
    formats.CodecLists: pb.CodecLists,
    handshake.Accepted: pb.Accepted,
    handshake.Limits: pb.Limits,
    handshake.OpenRequest: pb.OpenRequest,
    handshake.ServerInfo: pb.GetServerInfoResponse,
    replies.StageTimes: pb.StageTimes,
}
"""The message of each dataclass."""

_REQUESTS: dict[str, type] = {
    "open": OpenRequest,
    "control": ControlChange,
    "feedback": Feedback,
    "end": EndRequest,
}
_RESPONSES: dict[str, type] = {
    "accepted": Accepted,
    "control_ack": ControlAck,
    "flow": Flow,
    "warning": SessionWarning,
    "keepalive": Keepalive,
    "ended": Ended,
}


@dataclasses.dataclass(frozen=True)
class _Field:
    """One field of a dataclass: its type without `| None` and `tuple[..., ...]`."""

    name: str
    kind: type
    repeated: bool
    required: bool


def _field(item: dataclasses.Field[Any], hint: Any) -> _Field:
    repeated = typing.get_origin(hint) is tuple
    if repeated or isinstance(hint, types.UnionType):
        hint = typing.get_args(hint)[0]
    no_default = item.default is dataclasses.MISSING
    return _Field(
        name=item.name,
        kind=hint,
        repeated=repeated,
        required=no_default and item.default_factory is dataclasses.MISSING,
    )


def _fields(cls: type) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls)
    return tuple(_field(item, hints[item.name]) for item in dataclasses.fields(cls))


_FIELDS = {cls: _fields(cls) for cls in MESSAGES}


def write_message(value: Any, message: Message) -> None:
    """Fill `message` (empty, of the value's kind) from a dataclass; None leaves a field unset."""
    for field in _FIELDS[type(value)]:
        item = getattr(value, field.name)
        if item is None:
            continue
        if field.repeated:
            getattr(message, field.name).extend(number_of(member) for member in item)
        elif field.kind in MESSAGES:
            # A message without set fields must still be present on the wire.
            getattr(message, field.name).SetInParent()
            write_message(item, getattr(message, field.name))
        else:
            setattr(message, field.name, number_of(item) if isinstance(item, StrEnum) else item)


def to_message(value: Any) -> Message:
    """A dataclass as its protobuf message."""
    message = MESSAGES[type(value)]()
    write_message(value, message)
    return message


def from_message(cls: type[T], message: Message) -> T:
    """A protobuf message as its dataclass, checked; an unset field takes the dataclass's default.

    Raises `WireError` with the path of the field at fault.
    """
    values = {}
    for field in _FIELDS[cls]:
        if _unset(message, field.name):
            if field.required:
                raise WireError(ErrorCode.MALFORMED, "is missing; set it", field.name)
        else:
            values[field.name] = _read(field, getattr(message, field.name))
    return cls(**values)


def _unset(message: Message, name: str) -> bool:
    descriptor = message.DESCRIPTOR.fields_by_name[name]
    return descriptor.has_presence and not message.HasField(name)


def _read(field: _Field, item: Any) -> Any:
    if field.repeated:
        return known_members(field.kind, item)
    if issubclass(field.kind, StrEnum):
        return member_of(field.kind, item, field.name)
    if field.kind not in MESSAGES:
        return item
    try:
        return from_message(field.kind, item)
    except WireError as error:
        raise error.inside(field.name) from error


def parse_request(data: bytes) -> pb.RenderStreamRequest:
    """Bytes from the network as a request; `WireError` (`MALFORMED`) when they are none."""
    return _parse(pb.RenderStreamRequest, data)


def parse_response(data: bytes) -> pb.RenderStreamResponse:
    """Bytes from the network as a response; `WireError` (`MALFORMED`) when they are none."""
    return _parse(pb.RenderStreamResponse, data)


def _parse(cls: type[M], data: bytes) -> M:
    try:
        return cls.FromString(data)
    except DecodeError as error:
        message = f"{len(data)} bytes are no {cls.DESCRIPTOR.name} of c2r.wire.v1"
        raise WireError(ErrorCode.MALFORMED, message) from error


def pack_request(body: RequestBody) -> pb.RenderStreamRequest:
    """Put anything but a frame into the client's envelope."""
    return _pack(body, pb.RenderStreamRequest(), _REQUESTS)


def pack_response(body: ResponseBody) -> pb.RenderStreamResponse:
    """Put anything but a reply to a frame into the server's envelope."""
    return _pack(body, pb.RenderStreamResponse(), _RESPONSES)


def _pack(body: Any, envelope: M, kinds: dict[str, type]) -> M:
    name = next(name for name, cls in kinds.items() if cls is type(body))
    getattr(envelope, name).SetInParent()
    write_message(body, getattr(envelope, name))
    return envelope


def unpack_request(envelope: pb.RenderStreamRequest) -> RequestBody | pb.CoarseFrame:
    """What the client's envelope holds, checked; a frame is left for `CoarseDecoder`.

    An `open` of another major version is refused before anything else in it is read.
    """
    if envelope.WhichOneof("body") == "frame":
        return envelope.frame
    if envelope.WhichOneof("body") == "open":
        check_protocol(envelope.open.protocol_major, envelope.open.protocol_minor)
    return _unpack(envelope, _REQUESTS)


def unpack_response(envelope: pb.RenderStreamResponse) -> ResponseBody | pb.FrameReply:
    """What the server's envelope holds, checked; a frame's reply is left for `RenderedDecoder`."""
    if envelope.WhichOneof("body") == "frame":
        return envelope.frame
    if envelope.WhichOneof("body") == "accepted":
        check_protocol(envelope.accepted.protocol_major, envelope.accepted.protocol_minor)
    return _unpack(envelope, _RESPONSES)


def _unpack(
    envelope: pb.RenderStreamRequest | pb.RenderStreamResponse, kinds: dict[str, type]
) -> Any:
    name = envelope.WhichOneof("body")
    if name is None:
        known = ", ".join(("frame", *kinds))
        raise WireError(ErrorCode.MALFORMED, f"the message is empty; set one of: {known}")
    try:
        return from_message(kinds[name], getattr(envelope, name))
    except WireError as error:
        raise error.inside(name) from error
