"""The sending half of a stream: open, then feedback, control changes and frames, then end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc.aio

from c2r.wire import (
    Accepted,
    CoarseEncoder,
    CoarseFrame,
    ErrorCode,
    OpenRequest,
    WireError,
    pack_request,
)
from c2r.wire.events import EndRequest
from c2r.wire.v1 import renderer_pb2 as pb
from engine_bridge.client.account import ClientRecord


class Outgoing:
    """The only writer of one call. `outcomes` is called when a frame failed here.

    `keyframe_wanted`: the next frame must be an IDR frame (H.264).
    """

    def __init__(self, call: Any, record: ClientRecord, outcomes: Callable[[], None]) -> None:
        self.record = record
        self.keyframe_wanted = False
        self._call, self._outcomes = call, outcomes
        self._wakeup = asyncio.Event()
        self._accepted: Accepted | None = None
        self._encoder: CoarseEncoder | None = None
        self._ending: EndRequest | None = None
        self._report_due = self._idr_wanted = False

    def wake(self) -> None:
        """There may be something to send."""
        self._wakeup.set()

    def accept(self, accepted: Accepted) -> None:
        """Frames may go; `WireError` when the agreed codec cannot be used here."""
        self._encoder = CoarseEncoder(accepted)
        self._accepted = accepted
        self.wake()

    def end(self, *, discard: bool) -> None:
        """Send what waits (unless `discard`), then say that no more frames follow."""
        self._ending = EndRequest(discard_pending=discard)
        self.wake()

    def report(self) -> None:
        """Send the server a `Feedback`."""
        self._report_due = True
        self.wake()

    def ask_for_keyframe(self) -> None:
        """A rendered frame could not be decoded: ask for an IDR frame (H.264)."""
        self._idr_wanted = True
        self.report()

    async def run(self, opening: OpenRequest) -> None:
        """Until the end is sent; returns early on a broken stream, which the reader reports."""
        try:
            await self._send(pack_request(opening))
            while not self._all_sent():
                await self._wakeup.wait()
                self._wakeup.clear()
                if self._accepted is not None:
                    await self._send_what_waits()
            assert self._ending is not None
            await self._send(pack_request(self._ending))
            await self._call.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError):
            return

    def _all_sent(self) -> bool:
        if self._ending is None or self._accepted is None:
            return False
        return self._ending.discard_pending or not self.record.account.waiting

    async def _send_what_waits(self) -> None:
        while True:
            if self._report_due:
                await self._send_report()
            elif (change := self.record.controls.take()) is not None:
                await self._send(pack_request(change))
            elif (frame := self._next_frame()) is not None:
                await self._send_frame(frame)
            else:
                return

    def _next_frame(self) -> CoarseFrame | None:
        if self._ending is not None and self._ending.discard_pending:
            return None
        return self.record.account.take()

    async def _send_frame(self, frame: CoarseFrame) -> None:
        try:
            request = self._encoded(frame)
        except WireError as error:
            # The H.264 encoder has advanced past a frame that the server will never see: without an
            # IDR frame the server would predict from the wrong one.
            self.keyframe_wanted = True
            self.record.account.refuse(frame, error.fault)
            self._outcomes()
            return
        await self._send(request)

    def _encoded(self, frame: CoarseFrame) -> pb.RenderStreamRequest:
        assert self._encoder is not None
        assert self._accepted is not None
        keyframe, self.keyframe_wanted = self.keyframe_wanted, False
        request = self._encoder.encode(frame, keyframe=keyframe)
        size, most = request.ByteSize(), self._accepted.limits.max_message_bytes
        if size > most:
            message = f"is {size} bytes packed; the server takes {most}: use a better codec"
            raise WireError(ErrorCode.TOO_LARGE, message)
        return request

    async def _send_report(self) -> None:
        feedback = self.record.display.feedback(
            decode_ms=self.record.meter.decode_ms,
            frames_unsent=self.record.account.unsent,
            keyframe_wanted=self._idr_wanted,
        )
        self._report_due = self._idr_wanted = False
        await self._send(pack_request(feedback))

    async def _send(self, request: pb.RenderStreamRequest) -> None:
        data = request.SerializeToString()
        await self._call.write(data)
        self.record.meter.sent(len(data))
