"""The calls of `c2r.wire.v1.RenderService`: from the first message of a stream to its status.

The socket's end of a frame's way: messages are bytes here, and every exception that ends a stream
becomes its gRPC status here and nowhere else. Sees no tensor.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import grpc
import grpc.aio

from c2r.wire import Accepted, ErrorCode, OpenRequest, WireError, pack_response
from c2r.wire.convert import write_message
from c2r.wire.events import Flow
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.render_thread import RenderScheduler
from runtime.recording.recorder import Kind, Recorder
from runtime.server.admission import Admission
from runtime.server.negotiation import Negotiation
from runtime.session.reader import read_open
from runtime.session.session import Refusal, RefusedError, Session
from runtime.session.stream import SessionStream
from runtime.session.writer import Pipe

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["RenderService"].full_name
Context = grpc.aio.ServicerContext[Any, Any]
STATUS: dict[ErrorCode | Refusal, grpc.StatusCode] = {
    ErrorCode.UNSPECIFIED: grpc.StatusCode.UNKNOWN,
    ErrorCode.MALFORMED: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    ErrorCode.UNSUPPORTED: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    ErrorCode.OUT_OF_ORDER: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.NEEDS_KEYFRAME: grpc.StatusCode.FAILED_PRECONDITION,
    ErrorCode.INTERNAL: grpc.StatusCode.INTERNAL,
    # UNAVAILABLE and DEADLINE_EXCEEDED tell a client that trying again a little later may work.
    Refusal.FULL: grpc.StatusCode.UNAVAILABLE,
    Refusal.STOPPING: grpc.StatusCode.UNAVAILABLE,
    Refusal.NO_OPEN: grpc.StatusCode.DEADLINE_EXCEEDED,
    Refusal.NOT_READING: grpc.StatusCode.DEADLINE_EXCEEDED,
    Refusal.NO_MEMORY: grpc.StatusCode.UNAVAILABLE,
    Refusal.FAULT: grpc.StatusCode.INTERNAL,
}


def status_of(error: WireError | RefusedError) -> tuple[grpc.StatusCode, str]:
    """Code and details of the status that an error ends a stream with."""
    code = error.code if isinstance(error, WireError) else error.refusal
    return STATUS[code], str(error)


class GrpcPipe:
    """One call as a pipe, recorded when there is a recorder."""

    def __init__(self, context: Context, recorder: Recorder | None) -> None:
        self._context = context
        self._recorder = recorder
        self._number = 0 if recorder is None else recorder.next_stream()

    async def read(self) -> bytes | None:
        data = await self._context.read()
        if data is grpc.aio.EOF:
            return None
        self._record(Kind.REQUEST, data)
        return bytes(data)

    async def write(self, data: bytes) -> None:
        self._record(Kind.RESPONSE, data)
        try:
            await self._context.write(data)
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError) as error:
            raise ConnectionError(f"the client is gone: {error}") from error

    def closed(self) -> None:
        self._record(Kind.CLOSED, b"")

    def _record(self, kind: Kind, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.write(kind, self._number, data)


class RenderService:
    """The calls of `c2r.wire.v1.RenderService`."""

    def __init__(
        self,
        negotiation: Negotiation,
        admission: Admission,
        scheduler: RenderScheduler,
        pool: Executor,
        session_over: Callable[[Session], None],
    ) -> None:
        self.pipeline: Pipeline | None = None
        self.recorder: Recorder | None = None
        self._negotiation, self._admission, self._scheduler = negotiation, admission, scheduler
        self._settings = negotiation.settings
        self._pool, self._session_over = pool, session_over

    def handlers(self) -> grpc.GenericRpcHandler:
        """What gRPC calls. Messages of a stream stay bytes: they are parsed off the loop, recorded
        as they are, and one that does not parse gets a status of ours.
        """
        calls = {
            "RenderStream": grpc.stream_stream_rpc_method_handler(self.render_stream),
            "GetServerInfo": grpc.unary_unary_rpc_method_handler(
                self.get_server_info,
                request_deserializer=pb.GetServerInfoRequest.FromString,
                response_serializer=pb.GetServerInfoResponse.SerializeToString,
            ),
        }
        return grpc.method_handlers_generic_handler(SERVICE, calls)

    async def get_server_info(self, request: Any, context: Context) -> pb.GetServerInfoResponse:
        pipeline, response = self.pipeline, pb.GetServerInfoResponse()
        info = self._negotiation.info(
            ready=pipeline is not None,
            device="" if pipeline is None else str(pipeline.device),
            random_weights=pipeline is not None and bool(pipeline.networks.random_parts),
            sessions=len(self._admission.active),
        )
        write_message(info, response)
        return response

    async def render_stream(self, requests: Any, context: Context) -> None:
        """One stream; turns what ends it into a status."""
        pipe = GrpcPipe(context, self.recorder)
        try:
            await self._serve(pipe)
        except (WireError, RefusedError) as error:
            await context.abort(*status_of(error))
        except ConnectionError as error:
            log.info("%s", error)
        except Exception:
            log.exception("the server is at fault")
            message = "the server failed; its log says why"
            await context.abort(grpc.StatusCode.INTERNAL, message)
        finally:
            pipe.closed()

    async def _serve(self, pipe: Pipe) -> None:
        request = await self._first_message(pipe)
        codecs = self._negotiation.check(request)
        session = self._admission.resume(request) if request.resume_token else None
        resumed = session is not None
        if session is None:
            session = await self._enter(request, pipe)
        assert self.pipeline is not None, "no session is admitted before the renderer is ready"
        random_weights = bool(self.pipeline.networks.random_parts)
        stream = None
        try:
            accepted = self._negotiation.accepted(request, codecs, session, resumed=resumed)
            notices = self._negotiation.notices(request, session, random_weights, resumed=resumed)
            stream = self._stream(session, accepted, request, pipe)
            session.stream = stream
            who = "resumed" if resumed else request.client or "new"
            log.info("session %s: %s", session.name, who)
            await stream.run(notices)
        finally:
            log.info("session %s: stream over, %s", session.name, session.stats)
            self._admission.leave(session, stream, parks=stream is not None and stream.parks)
            self._session_over(session)

    def _stream(
        self, session: Session, accepted: Accepted, request: OpenRequest, pipe: Pipe
    ) -> SessionStream:
        return SessionStream(
            session,
            accepted,
            request.protocol_minor,
            pipe,
            self._scheduler,
            self._pool,
            self._settings,
        )

    async def _first_message(self, pipe: Pipe) -> OpenRequest:
        wait_s = self._settings.first_message_s
        reading = asyncio.ensure_future(pipe.read())
        try:
            done, _ = await asyncio.wait({reading}, timeout=wait_s)
        finally:
            if not reading.done():
                reading.cancel()
        if not done:
            message = f"no open came within {wait_s:g} s; send it first"
            raise RefusedError(Refusal.NO_OPEN, message)
        data = reading.result()
        if data is None:
            raise WireError(ErrorCode.MALFORMED, "is missing; send it first", "open")
        return read_open(data)

    async def _enter(self, request: OpenRequest, pipe: Pipe) -> Session:
        """Wait for a slot; the client hears its place in the queue, and that the server lives."""
        ahead: asyncio.Queue[int] = asyncio.Queue()

        async def tell() -> None:
            place = await ahead.get()
            while place > 0:
                await pipe.write(pack_response(Flow(0, place)).SerializeToString())
                try:
                    async with asyncio.timeout(self._settings.keepalive_s):
                        place = await ahead.get()
                except TimeoutError:
                    continue

        telling = asyncio.create_task(tell())
        try:
            session = await self._admission.enter(request, ahead.put_nowait)
            ahead.put_nowait(0)
            await asyncio.wait({telling}, timeout=self._settings.flush_s)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        return session
