"""Everything that one stream receives: checked, decoded off the event loop in order, handed on.

A fault in a frame becomes its reply, a fault in a control change its acknowledgement; whatever
else breaks the contract raises `WireError` and ends the stream.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from time import perf_counter

from c2r.wire import (
    Accepted,
    CoarseDecoder,
    CoarseFrame,
    DropReason,
    ErrorCode,
    FailedFrame,
    Fault,
    OpenRequest,
    WireError,
    parse_request,
    unpack_request,
)
from c2r.wire.events import (
    ControlAck,
    ControlChange,
    EndReason,
    EndRequest,
    Feedback,
    Flow,
    SessionWarning,
    WarningCode,
)
from c2r.wire.formats import Codec
from c2r.wire.handshake import PROTOCOL_MINOR
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.core import ReceivedFrame
from runtime.session.chunk_queue import ChunkQueue
from runtime.session.inbox import TokenBucket
from runtime.session.session import NO_NEGATIVE_PROMPT, Session
from runtime.session.writer import Pipe, Writer

log = logging.getLogger(__name__)

Message = CoarseFrame | FailedFrame | ControlChange | ControlAck | Feedback | EndRequest
"""What a message becomes: a frame or its fault, a change or its refusal, or the rest as it is."""
BURST_S = 1.0
"""Frames may come faster than the limit for as long as this."""
BREAK_S = 0.05
"""A broken connection looks like a closed one for a moment; wait before believing the latter."""


class Reader:
    """Reads one stream after its `open`. `minor`: the client's protocol version.

    `finish(request, message, resumable=...)` is told how the client ended the stream.
    """

    def __init__(
        self,
        session: Session,
        accepted: Accepted,
        minor: int,
        pipe: Pipe,
        pool: Executor,
        chunks: ChunkQueue,
        writer: Writer,
        finish: Callable[[EndRequest, str, bool], None],
    ) -> None:
        self.last_received_s = perf_counter()
        self._session, self._pipe, self._pool = session, pipe, pool
        self._chunks, self._writer, self._finish = chunks, writer, finish
        self._decoder = MessageDecoder(accepted, minor)
        self._window = accepted.max_in_flight_chunks * accepted.chunk_frames
        self._wants_keys = accepted.codecs.coarse is Codec.H264
        self._lost_key = False
        self._stopped = False

    def stop(self) -> None:
        """Hand nothing on any more, not even the message that is being decoded."""
        self._stopped = True

    async def run(self) -> None:
        """Read until the client closes its side, or `stop`."""
        loop = asyncio.get_running_loop()
        while (data := await self._pipe.read()) is not None:
            self.last_received_s = arrived_s = perf_counter()
            rendered = self._session.stats.rendered
            # One message at a time: frames depend on those before them, in H.264 and in their
            # ids, and a pool of threads promises no order.
            message = await loop.run_in_executor(
                self._pool, self._decoder.decode, data, arrived_s, rendered
            )
            if self._stopped:
                return
            self._session.old_token = b""  # the client has `accepted`, and so the new one
            self._receive(message, arrived_s)
            await self._writer.room()
        await asyncio.sleep(BREAK_S)
        if self._chunks.finishing is None:
            self._finish(EndRequest(), "the client closed its side", True)

    def _receive(self, message: Message | None, arrived_s: float) -> None:
        match message:
            case CoarseFrame() | FailedFrame():
                self._receive_frame(message, arrived_s)
            case ControlChange():
                self._chunks.change(message)
                if message.negative_prompt and self._session.warns(WarningCode.NO_EFFECT):
                    warning = SessionWarning(WarningCode.NO_EFFECT, NO_NEGATIVE_PROMPT)
                    self._writer.send(warning)
            case ControlAck():
                self._writer.send(message)
            case Feedback():
                self._writer.keyframe_wanted |= message.keyframe_wanted
            case EndRequest():
                self._finish(message, "the client ended it", False)

    def _receive_frame(self, frame: CoarseFrame | FailedFrame, arrived_s: float) -> None:
        self._session.stats.received += 1
        self._ask_for_key(lost=isinstance(frame, FailedFrame))
        if isinstance(frame, FailedFrame):
            self._writer.answer(frame, arrived_s)
            return
        received = ReceivedFrame(frame, arrived_s, decoded_s=perf_counter())
        finishing = self._chunks.finishing
        if finishing is None:
            self._chunks.add(received)
        elif finishing.reason is EndReason.SHUTDOWN:
            self._writer.drop([received], DropReason.ENDED)
        else:
            fault = Fault(ErrorCode.OUT_OF_ORDER, "came after end; open a new session")
            self._writer.fail([received], fault)

    def _ask_for_key(self, *, lost: bool) -> None:
        """In H.264 a frame that cannot be read makes the next ones unreadable: ask for a key."""
        if self._wants_keys and lost != self._lost_key:
            self._lost_key = lost
            waiting = len(self._chunks.inbox)
            self._writer.send(Flow(self._window, inbox_frames=waiting, keyframe_wanted=lost))


class MessageDecoder:
    """Bytes into checked dataclasses. Knows no event loop; called in order, from any thread.

    Frames that were rendered do not count against the limit of their rate: a clip may be rendered
    faster than it plays.
    """

    def __init__(self, accepted: Accepted, minor: int) -> None:
        self._accepted = accepted
        self._newer = minor > PROTOCOL_MINOR
        self._frames = CoarseDecoder(accepted)
        max_fps = accepted.limits.max_fps
        burst = max(BURST_S * max_fps, accepted.max_in_flight_chunks * accepted.chunk_frames)
        self._rate = TokenBucket(burst, max_fps)
        self._rendered = 0

    def decode(self, data: bytes, arrived_s: float, rendered: int) -> Message | None:
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
            self._frames.skip(message)
            limit = self._accepted.limits.max_fps
            wording = f"more than {limit:g} frames a second came; send fewer"
            return FailedFrame(*ids, Fault(ErrorCode.TOO_LARGE, wording))
        try:
            return self._frames.decode(message)
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
