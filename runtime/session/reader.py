"""What one client sends: bytes into checked dataclasses, in order, off the event loop.

A fault in a frame becomes its reply, a fault in a control change its acknowledgement; whatever
else breaks the contract raises `WireError` and ends the stream.
"""

from __future__ import annotations

import logging

from c2r.wire import (
    Accepted,
    CoarseDecoder,
    CoarseFrame,
    ErrorCode,
    FailedFrame,
    Fault,
    OpenRequest,
    WireError,
    parse_request,
    unpack_request,
)
from c2r.wire.events import ControlAck, ControlChange, EndRequest, Feedback
from c2r.wire.handshake import PROTOCOL_MINOR
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.session.inbox import TokenBucket

log = logging.getLogger(__name__)

Arrival = CoarseFrame | FailedFrame | ControlChange | ControlAck | Feedback | EndRequest
_BURST_S = 1.0
"""Frames may come faster than the limit for as long as this."""


class Incoming:
    """Reads the messages of one stream after its `open`. `minor`: the client's protocol version.

    Frames that were rendered do not count against the limit of their rate: a clip may be rendered
    faster than it plays.
    """

    def __init__(self, accepted: Accepted, minor: int) -> None:
        self._accepted = accepted
        self._newer = minor > PROTOCOL_MINOR
        self._decoder = CoarseDecoder(accepted)
        max_fps = accepted.limits.max_fps
        burst = max(_BURST_S * max_fps, accepted.max_in_flight_chunks * accepted.chunk_frames)
        self._rate = TokenBucket(burst, max_fps)
        self._rendered = 0

    def read(self, data: bytes, arrived_s: float, rendered: int) -> Arrival | None:
        """One message; None for one that only newer servers know.

        `rendered`: frames of this session that were rendered so far.
        """
        self._rate.give(rendered - self._rendered)
        self._rendered = rendered
        request = parse_request(data)
        kind = request.WhichOneof("body")
        if kind is None and self._newer:
            return None
        if kind == "frame":
            return self._frame(request.frame, arrived_s)
        if kind == "control":
            return self._control(request)
        if kind == "open":
            message = "came again; a stream has one, and it is the first message"
            raise WireError(ErrorCode.OUT_OF_ORDER, message, "open")
        body = unpack_request(request)
        if isinstance(body, Feedback | EndRequest):
            return body
        raise AssertionError(f"{kind} was dealt with above")

    def _frame(self, message: pb.CoarseFrame, arrived_s: float) -> CoarseFrame | FailedFrame:
        ids = (message.frame_id, message.capture_time_us)
        if not self._rate.take(arrived_s):
            self._decoder.pass_over(message)
            limit = self._accepted.limits.max_fps
            wording = f"more than {limit:g} frames a second came; send fewer"
            return FailedFrame(*ids, Fault(ErrorCode.TOO_LARGE, wording))
        try:
            return self._decoder.decode(message)
        except WireError as error:
            return FailedFrame(*ids, error.fault)
        except Exception:
            log.exception("frame %d could not be read", message.frame_id)
            fault = Fault(ErrorCode.INTERNAL, "the server failed to read the frame; see its log")
            return FailedFrame(*ids, fault)

    def _control(self, request: pb.RenderStreamRequest) -> ControlChange | ControlAck:
        try:
            change = unpack_request(request)
            assert isinstance(change, ControlChange), "the envelope holds a control"
            self._accepted.limits.check_control(change)
        except WireError as error:
            return ControlAck(request.control.control_id, refused=error.fault)
        return change


def read_open(data: bytes) -> OpenRequest:
    """The first message of a stream."""
    body = unpack_request(parse_request(data))
    if not isinstance(body, OpenRequest):
        message = "must be the first message of a stream; send it, then wait for accepted"
        raise WireError(ErrorCode.OUT_OF_ORDER, message, "open")
    return body
