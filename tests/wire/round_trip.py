"""Messages through their bytes and back, and equality of what holds arrays."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from c2r.wire.coarse_stream import CoarseEncoder
from c2r.wire.convert import parse_request, parse_response, unpack_request, unpack_response
from c2r.wire.frames import CoarseFrame
from c2r.wire.handshake import Accepted
from c2r.wire.rendered_stream import RenderedEncoder
from c2r.wire.replies import (
    FrameReply,
)
from c2r.wire.v1 import renderer_pb2 as pb

MakeAccepted = Callable[..., Accepted]
MakeImage = Callable[..., np.ndarray]
IDR = b"\x00\x00\x01\x65"
INF = float("inf")


def send(encoder: CoarseEncoder, frame: CoarseFrame) -> pb.CoarseFrame:
    message = unpack_request(parse_request(encoder.encode(frame).SerializeToString()))
    assert isinstance(message, pb.CoarseFrame)
    return message


def answer(encoder: RenderedEncoder, reply: FrameReply, *, keyframe: bool = False) -> pb.FrameReply:
    response = encoder.encode(reply, keyframe=keyframe)
    message = unpack_response(parse_response(response.SerializeToString()))
    assert isinstance(message, pb.FrameReply)
    return message


def same(one: object, other: object) -> bool:
    """Equality of dataclasses that hold arrays."""
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        names = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(
            same(getattr(one, name), getattr(other, name)) for name in names
        )
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype != "u1")
    return one == other
