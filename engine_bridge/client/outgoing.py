"""The client's half of a stream: open, then feedback, control changes and frames, then end."""

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
from engine_bridge.client.books import Books


class Outgoing:
    """Writes to one call, alone, what the books hold. `outcomes` is told when a frame failed here.

    `keyframe_wanted`: the next frame must stand alone (H.264).
    """

    def __init__(self, call: Any, books: Books, outcomes: Callable[[], None]) -> None:
        self.books = books
        self.keyframe_wanted = False
        self._call, self._outcomes = call, outcomes
        self._news = asyncio.Event()
        self._accepted: Accepted | None = None
        self._encoder: CoarseEncoder | None = None
        self._ending: EndRequest | None = None
        self._report_due = self._picture_keyframe = False

    def wake(self) -> None:
        """There may be something to send."""
        self._news.set()

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
        """Tell the server how pictures arrive."""
        self._report_due = True
        self.wake()

    def ask_for_keyframe(self) -> None:
        """A picture could not be decoded: the next one must stand alone (H.264)."""
        self._picture_keyframe = True
        self.report()

    async def run(self, opening: OpenRequest) -> None:
        """Until the end was said; returns early when the stream is over, which the reader tells."""
        try:
            await self._send(pack_request(opening))
            while not self._all_sent():
                await self._news.wait()
                self._news.clear()
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
        return self._ending.discard_pending or not self.books.account.waiting

    async def _send_what_waits(self) -> None:
        while True:
            if self._report_due:
                await self._send_report()
            elif (change := self.books.controls.take()) is not None:
                await self._send(pack_request(change))
            elif (frame := self._next_frame()) is not None:
                await self._send_frame(frame)
            else:
                return

    def _next_frame(self) -> CoarseFrame | None:
        if self._ending is not None and self._ending.discard_pending:
            return None
        return self.books.account.take()

    async def _send_frame(self, frame: CoarseFrame) -> None:
        try:
            request = self._encoded(frame)
        except WireError as error:
            # H.264 has gone on from a frame that the server will never see.
            self.keyframe_wanted = True
            self.books.account.refuse(frame, error.fault)
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
        feedback = self.books.shown.feedback(
            decode_ms=self.books.meter.decode_ms,
            frames_unsent=self.books.account.unsent,
            keyframe_wanted=self._picture_keyframe,
        )
        self._report_due = self._picture_keyframe = False
        await self._send(pack_request(feedback))

    async def _send(self, request: pb.RenderStreamRequest) -> None:
        data = request.SerializeToString()
        await self._call.write(data)
        self.books.meter.sent(len(data))
