"""Takes out of a message what would let a reader of the recording take a session over."""

from __future__ import annotations

from c2r.wire import WireError, parse_request, parse_response
from c2r.wire.v1 import renderer_pb2 as pb

_FRAMES = {
    pb.RenderStreamRequest.DESCRIPTOR.fields_by_name["frame"].number,
    pb.RenderStreamResponse.DESCRIPTOR.fields_by_name["frame"].number,
}


def request_without_token(data: bytes) -> bytes:
    """A client's message, its resume token taken out; as it was when it holds none."""
    if _is_frame(data):
        return data
    try:
        request = parse_request(data)
    except WireError:
        return data
    if not request.open.resume_token:
        return data
    request.open.ClearField("resume_token")
    return request.SerializeToString()


def response_without_token(data: bytes) -> bytes:
    """A server's message, its resume token taken out; as it was when it holds none."""
    if _is_frame(data):
        return data
    response = parse_response(data)
    if not response.accepted.resume_token:
        return data
    response.accepted.ClearField("resume_token")
    return response.SerializeToString()


def _is_frame(data: bytes) -> bool:
    """By the first field alone: frames are most of what is recorded, and large."""
    return bool(data) and data[0] >> 3 in _FRAMES
