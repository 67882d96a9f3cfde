"""A miniature renderer: the contract over real gRPC; rendered frames are negatives.

It runs in its own thread, collects frames into chunks, drops the oldest when its inbox is full,
resumes sessions that it remembers, and misbehaves as its `Script` says.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from c2r.wire import (
    Accepted,
    OpenRequest,
    ServerInfo,
    WireError,
    default_codecs,
    negotiate,
    parse_request,
    unpack_request,
)
from c2r.wire.convert import to_message
from c2r.wire.events import Flow, SessionWarning, WarningCode
from engine_bridge.client.render_client import quiet_loop
from tests.engine_bridge.mini_stream import LIMITS, Script, Seen, Stream, pack

__all__ = ["LIMITS", "MiniServer", "Script"]

SERVICE = "c2r.wire.v1.RenderService"
HANG_S = 60.0
"""Only hangs take so long."""


class MiniServer:
    """A context manager; `stop` and `start` make it die and come back on the same port."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.seen = Seen()
        self.port = self.permits = 0
        self._streams: set[Stream] = set()
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
        self._thread.join(HANG_S)
        assert not self._thread.is_alive()
        self._loop.close()

    def start(self) -> None:
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(HANG_S)

    def stop(self) -> None:
        """At once, and with everything it knew."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(HANG_S)
        self._sessions.clear()

    def render(self, chunks: int) -> None:
        """With `Script.by_hand`: render so many chunks more, as soon as their frames are here."""
        self._loop.call_soon_threadsafe(self._permit, chunks)

    def forget(self, token: bytes) -> None:
        self._sessions.discard(token)

    def _permit(self, chunks: int) -> None:
        self.permits += chunks
        for stream in self._streams:
            stream.wake()

    async def _start(self) -> None:
        self._server = grpc.aio.server(
            options=[("grpc.so_reuseport", 0)],
            maximum_concurrent_rpcs=self.script.most_calls,
        )
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
        stream = Stream(self, accepted, context)
        reader = asyncio.create_task(stream.read(requests))
        self._streams.add(stream)
        try:
            async for data in stream.replies():
                yield data
        finally:
            self._streams.discard(stream)
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
            await context.write(pack(Flow(window_frames=0, queue_position=position)))
            await asyncio.sleep(script.queue_s)
        if script.mute_before_accept:
            await asyncio.sleep(600)
        accepted = self._grant(request)
        await context.write(pack(accepted))
        if request.resume_token and not accepted.resumed:
            await context.write(pack(SessionWarning(WarningCode.RESTARTED, "the stream was reset")))
        if script.window is not None:
            await context.write(pack(Flow(window_frames=script.window)))
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
