"""An honest miniature of a renderer: the contract over real gRPC, pictures are negatives.

It runs in a thread of its own, gathers frames into chunks, drops the oldest when its inbox is full,
resumes sessions that it remembers, and misbehaves as its `Script` says.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import grpc
import grpc.aio

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
    ServerInfo,
    WireError,
    default_codecs,
    negotiate,
    pack_response,
    parse_request,
    unpack_request,
)
from c2r.wire.convert import to_message
from c2r.wire.events import (
    ControlAck,
    ControlChange,
    Ended,
    EndReason,
    EndRequest,
    Feedback,
    Flow,
    Keepalive,
    SessionWarning,
    WarningCode,
)
from engine_bridge.client.render_client import quiet_loop

SERVICE = "c2r.wire.v1.RenderService"
LIMITS = Limits(max_width=512, max_height=512, size_multiple=16, max_prompt_bytes=64)


@dataclass
class Script:
    """How the server behaves; may be changed while it runs."""

    chunk_latents: int = 1
    in_flight_chunks: int = 2
    delay_s: float = 0.0
    token: str | None = None
    refuse: tuple[grpc.StatusCode, str] | None = None
    queue: tuple[int, ...] = ()
    queue_s: float = 0.02
    protocol_major: int = 1
    mute_before_accept: bool = False
    mute: bool = False
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


class MiniServer:
    """Use as a context manager; `stop` and `start` make it die and come back on the same port."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.seen = Seen()
        self.port = 0
        self._sessions: set[bytes] = set()
        self._loop = quiet_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: Any = None
        self._issued = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def __enter__(self) -> MiniServer:
        self._thread.start()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        assert not self._thread.is_alive()
        self._loop.close()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)

    def stop(self) -> None:
        """At once, and with everything it knew."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._sessions.clear()

    async def _start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        handlers: dict[str, Any] = {
            "RenderStream": grpc.stream_stream_rpc_method_handler(self._render_stream),
            "GetServerInfo": grpc.unary_unary_rpc_method_handler(self._server_info),
        }
        generic = grpc.method_handlers_generic_handler(SERVICE, handlers)
        self._server.add_generic_rpc_handlers((generic,))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        assert self.port > 0
        await self._server.start()

    async def _stop(self) -> None:
        if self._server is not None:
            await self._server.stop(None)
            self._server = None

    async def _server_info(self, data: bytes, context: Any) -> bytes:
        await self._authorise(context)
        info = ServerInfo(
            preset="mini",
            width=64,
            height=32,
            fps=16.0,
            chunk_latents=self.script.chunk_latents,
            codecs=default_codecs(loopback=True),
            limits=self.script.limits,
            ready=True,
        )
        return to_message(info).SerializeToString()

    async def _authorise(self, context: Any) -> None:
        sent = dict(context.invocation_metadata()).get("authorization")
        if self.script.token is not None and sent != f"Bearer {self.script.token}":
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "the token is wrong or missing")

    async def _render_stream(
        self, requests: AsyncIterator[bytes], context: Any
    ) -> AsyncIterator[bytes]:
        await self._authorise(context)
        try:
            accepted = await self._open(requests, context)
        except WireError as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        stream = _Stream(self, accepted, context)
        reader = asyncio.create_task(stream.read(requests))
        try:
            async for data in stream.replies():
                yield data
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _open(self, requests: AsyncIterator[bytes], context: Any) -> Accepted:
        script = self.script
        request = unpack_request(parse_request(await anext(aiter(requests))))
        assert isinstance(request, OpenRequest)
        self.seen.opens.append(request)
        if script.refuse is not None:
            await context.abort(*script.refuse)
        script.limits.check_open(request)
        for position in script.queue:
            await context.write(_pack(Flow(window_frames=0, queue_position=position)))
            await asyncio.sleep(script.queue_s)
        if script.mute_before_accept:
            await asyncio.sleep(60)
        accepted = self._grant(request)
        await context.write(_pack(accepted))
        if request.resume_token and not accepted.resumed:
            await context.write(_pack(SessionWarning(WarningCode.RESTARTED, "began anew")))
        if script.window is not None:
            await context.write(_pack(Flow(window_frames=script.window)))
        return accepted

    def _grant(self, request: OpenRequest) -> Accepted:
        resumed = request.resume_token in self._sessions
        self._issued += 1
        token = request.resume_token if resumed else b"token %d" % self._issued
        self._sessions.add(token)
        latents = self.script.chunk_latents
        return Accepted(
            session_id=f"s{self._issued}",
            width=request.width,
            height=request.height,
            fps=request.fps,
            chunk_latents=latents,
            first_chunk_frames=1 + 4 * (latents - 1),
            chunk_frames=4 * latents,
            max_in_flight_chunks=self.script.in_flight_chunks,
            codecs=negotiate(request.codecs, default_codecs(loopback=True)),
            limits=self.script.limits,
            side_channels=request.side_channels,
            strength=request.strength,
            seed=7 if request.seed is None else request.seed,
            resume_token=token,
            resume_grace_s=self.script.grace_s,
            resumed=resumed,
            server="mini",
            protocol_major=self.script.protocol_major,
        )


class _Stream:
    """One accepted stream."""

    def __init__(self, server: MiniServer, accepted: Accepted, context: Any) -> None:
        self.server, self.accepted, self.context = server, accepted, context
        self.script = server.script
        self._decoder, self._encoder = CoarseDecoder(accepted), RenderedEncoder(accepted)
        self._inbox: deque[CoarseFrame] = deque()
        self._out: deque[bytes] = deque()
        self._news = asyncio.Event()
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
                self._say(_pack(ControlAck(body.control_id, frame_id=last + 1)))
            elif isinstance(body, EndRequest):
                seen.ends.append(body)
                self._ending = body
            elif not isinstance(body, OpenRequest):
                self._receive(body)
            self._news.set()

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
                await self._paint(chunk)
                while self._out:
                    data = self._out.popleft()
                    yield data
                    if await self._misbehave():
                        return
            while self._out:
                yield self._out.popleft()
            if self.script.end_after is not None and self._answers >= self.script.end_after[0]:
                yield _pack(self.script.end_after[1])
                return
            if self._ending is not None:
                for frame in self._inbox:
                    yield self._reply(_dropped(frame, DropReason.ENDED))
                yield _pack(Ended(EndReason.CLIENT))
                self.server._sessions.discard(self.accepted.resume_token)
                return

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._news.wait(), self.script.keepalive_s)
        except TimeoutError:
            if not self.script.mute:
                self._say(_pack(Keepalive()))
        self._news.clear()

    def _next_chunk(self) -> list[CoarseFrame] | None:
        size = self.accepted.first_chunk_frames if self._first else self.accepted.chunk_frames
        if self._ending is not None and not self._ending.discard_pending:
            size = min(size, len(self._inbox))
        if size == 0 or len(self._inbox) < size:
            return None
        self._first = False
        return [self._inbox.popleft() for _ in range(size)]

    async def _paint(self, chunk: list[CoarseFrame]) -> None:
        await asyncio.sleep(self.script.delay_s)
        for frame in chunk:
            picture = RenderedFrame(
                frame.frame_id, frame.capture_time_us, 255 - frame.rgb, self._chunk
            )
            self._answer(picture)
        self._chunk += 1

    async def _misbehave(self) -> bool:
        """Whether to end the stream, without a word."""
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


def _pack(body: Any) -> bytes:
    return pack_response(body).SerializeToString()
