"""One stream of the miniature renderer, and the script that it follows."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import grpc

from c2r.wire import (
    Accepted,
    CoarseDecoder,
    CoarseFrame,
    DroppedFrame,
    DropReason,
    FailedFrame,
    FrameReply,
    Limits,
    OpenRequest,
    RenderedEncoder,
    RenderedFrame,
    WireError,
    pack_response,
    parse_request,
    unpack_request,
)
from c2r.wire.events import (
    ControlAck,
    ControlChange,
    Ended,
    EndReason,
    EndRequest,
    Feedback,
    Keepalive,
)

LIMITS = Limits(max_width=512, max_height=512, size_multiple=16, max_prompt_bytes=64)


@dataclass
class Script:
    """How the server behaves; may be changed while it runs.

    `mute`: replies to nothing and sends no keepalives. `by_hand`: renders only the chunks that
    `MiniServer.render` asks for. `hold_s`: how long the stream stays open after `Ended`.
    """

    chunk_latents: int = 1
    in_flight_chunks: int = 2
    delay_s: float = 0.0
    token: str | None = None
    refuse: tuple[grpc.StatusCode, str] | None = None
    most_calls: int | None = None
    queue: tuple[int, ...] = ()
    queue_s: float = 0.02
    protocol_major: int = 1
    mute_before_accept: bool = False
    mute: bool = False
    by_hand: bool = False
    hold_s: float = 0.0
    keepalive_s: float = 0.1
    break_after: int | None = None
    hang_up: bool = False
    end_after: tuple[int, Ended] | None = None
    garbage_after: int | None = None
    spoil: frozenset[int] = frozenset()
    window: int | None = None
    grace_s: float = 5.0
    limits: Limits = LIMITS


@dataclass
class Seen:
    """What clients sent, in order of arrival."""

    opens: list[OpenRequest] = field(default_factory=list)
    frames: list[CoarseFrame] = field(default_factory=list)
    controls: list[ControlChange] = field(default_factory=list)
    feedbacks: list[Feedback] = field(default_factory=list)
    ends: list[EndRequest] = field(default_factory=list)
    most_unanswered: int = 0


class Peer(Protocol):
    """What a stream knows of its server."""

    script: Script
    seen: Seen
    permits: int

    def forget(self, token: bytes) -> None: ...


class Stream:
    """One accepted stream."""

    def __init__(self, server: Peer, accepted: Accepted, context: Any) -> None:
        self.server, self.accepted, self.context = server, accepted, context
        self.script = server.script
        self._decoder, self._encoder = CoarseDecoder(accepted), RenderedEncoder(accepted)
        self._inbox: deque[CoarseFrame] = deque()
        self._out: deque[bytes] = deque()
        self._wakeup = asyncio.Event()
        self._ending: EndRequest | None = None
        self._first = not accepted.resumed
        self._chunk = self._answers = self._unanswered = 0

    async def read(self, requests: AsyncIterator[bytes]) -> None:
        seen = self.server.seen
        async for data in requests:
            body = unpack_request(parse_request(data))
            if isinstance(body, Feedback):
                seen.feedbacks.append(body)
            elif isinstance(body, ControlChange):
                seen.controls.append(body)
                last = seen.frames[-1].frame_id if seen.frames else 0
                self._say(pack(ControlAck(body.control_id, frame_id=last + 1)))
            elif isinstance(body, EndRequest):
                seen.ends.append(body)
                self._ending = body
            elif not isinstance(body, OpenRequest):
                self._receive(body)
            self._wakeup.set()

    def _receive(self, message: Any) -> None:
        self._unanswered += 1
        seen = self.server.seen
        seen.most_unanswered = max(seen.most_unanswered, self._unanswered)
        try:
            frame = self._decoder.decode(message)
        except WireError as error:
            self._answer(FailedFrame(message.frame_id, message.capture_time_us, error.fault))
            return
        seen.frames.append(frame)
        self._inbox.append(frame)
        while len(self._inbox) > self.script.in_flight_chunks * self.accepted.chunk_frames:
            self._drop(self._inbox.popleft(), DropReason.SUPERSEDED)

    async def replies(self) -> AsyncIterator[bytes]:
        while True:
            await self._wait()
            if self.script.mute:
                continue
            while (chunk := self._next_chunk()) is not None:
                await self._render(chunk)
                while self._out:
                    data = self._out.popleft()
                    yield data
                    if await self._misbehave():
                        return
            while self._out:
                yield self._out.popleft()
            if self.script.end_after is not None and self._answers >= self.script.end_after[0]:
                yield pack(self.script.end_after[1])
                return
            if self._ending is not None:
                for frame in self._inbox:
                    yield self._reply(_dropped(frame, DropReason.ENDED))
                yield pack(Ended(EndReason.CLIENT))
                self.server.forget(self.accepted.resume_token)
                await asyncio.sleep(self.script.hold_s)
                return

    def wake(self) -> None:
        self._wakeup.set()

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._wakeup.wait(), self.script.keepalive_s)
        except TimeoutError:
            if not self.script.mute:
                self._say(pack(Keepalive()))
        self._wakeup.clear()

    def _next_chunk(self) -> list[CoarseFrame] | None:
        size = self.accepted.first_chunk_frames if self._first else self.accepted.chunk_frames
        if self._ending is not None and not self._ending.discard_pending:
            size = min(size, len(self._inbox))
        if size == 0 or len(self._inbox) < size:
            return None
        if self.script.by_hand and self._ending is None:
            if not self.server.permits:
                return None
            self.server.permits -= 1
        self._first = False
        return [self._inbox.popleft() for _ in range(size)]

    async def _render(self, chunk: list[CoarseFrame]) -> None:
        await asyncio.sleep(self.script.delay_s)
        for frame in chunk:
            negative = 255 - frame.rgb
            self._answer(
                RenderedFrame(frame.frame_id, frame.capture_time_us, negative, self._chunk)
            )
        self._chunk += 1

    async def _misbehave(self) -> bool:
        """Whether to end the stream, without `Ended`."""
        script = self.script
        if script.break_after is not None and self._answers >= script.break_after:
            script.break_after = None
            if script.hang_up:
                return True
            await self.context.abort(grpc.StatusCode.INTERNAL, "the renderer failed")
        if script.garbage_after is not None and self._answers >= script.garbage_after:
            script.garbage_after = None
            await self.context.write(b"\xff\xfe\xfd no message")
        return False

    def _drop(self, frame: CoarseFrame, reason: DropReason) -> None:
        self._answer(_dropped(frame, reason))

    def _answer(self, reply: FrameReply) -> None:
        self._say(self._reply(reply))

    def _reply(self, reply: FrameReply) -> bytes:
        self._answers += 1
        self._unanswered -= 1
        response = self._encoder.encode(reply)
        if reply.frame_id in self.script.spoil:
            response.frame.rendered.picture.payload.data = b"spoilt"
        return response.SerializeToString()

    def _say(self, data: bytes) -> None:
        self._out.append(data)


def _dropped(frame: CoarseFrame, reason: DropReason) -> DroppedFrame:
    return DroppedFrame(frame.frame_id, frame.capture_time_us, reason)


def pack(body: Any) -> bytes:
    return pack_response(body).SerializeToString()
