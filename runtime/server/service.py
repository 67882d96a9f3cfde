"""The calls of `c2r.wire.v1.RenderService`: from the first message of a stream to its status.

Sees messages as bytes and no tensor.
"""

from __future__ import annotations

import asyncio
import logging
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
from runtime.session.session import Session
from runtime.session.status import Refusal, RefusedError, status_of
from runtime.session.stream import SessionStream
from runtime.session.writer import Pipe

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["RenderService"].full_name
Context = grpc.aio.ServicerContext[Any, Any]


class GrpcPipe:
    """One call as a pipe, recorded when there is a recorder."""

    def __init__(self, context: Context, recorder: Recorder | None) -> None:
        self._context = context
        self._recorder = recorder
        self._number = 0 if recorder is None else recorder.next_stream()

    async def read(self) -> bytes | None:
        """The client's next message; None when it closed its side."""
        data = await self._context.read()
        if data is grpc.aio.EOF:
            return None
        self._record(Kind.REQUEST, data)
        return bytes(data)

    async def write(self, data: bytes) -> None:
        """Send one message."""
        self._record(Kind.RESPONSE, data)
        try:
            await self._context.write(data)
        except (grpc.RpcError, grpc.aio.BaseError, asyncio.InvalidStateError) as error:
            raise ConnectionError(f"the client is gone: {error}") from error

    def closed(self) -> None:
        """The call is over."""
        self._record(Kind.CLOSED, b"")

    def _record(self, kind: Kind, data: bytes) -> None:
        if self._recorder is not None:
            self._recorder.write(kind, self._number, data)


class RenderService:
    """The calls of `c2r.wire.v1.RenderService`."""

    def __init__(
        self,
        terms: Negotiation,
        lobby: Admission,
        desk: RenderScheduler,
        pool: Executor,
        recorder: Recorder | None,
    ) -> None:
        self.terms = terms
        self.pipeline: Pipeline | None = None
        self._lobby, self._desk, self._pool, self._recorder = lobby, desk, pool, recorder

    def handlers(self) -> grpc.GenericRpcHandler:
        """Messages of a stream stay bytes: they are parsed off the loop, and recorded as they are.

        So a message that does not parse gets a status of ours.
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
        """What this server is and offers."""
        pipeline, response = self.pipeline, pb.GetServerInfoResponse()
        info = self.terms.info(
            ready=pipeline is not None,
            device="" if pipeline is None else str(pipeline.device),
            random_weights=pipeline is not None and bool(pipeline.networks.random_parts),
            sessions=len(self._lobby.living),
        )
        write_message(info, response)
        return response

    async def render_stream(self, requests: Any, context: Context) -> None:
        """One stream; turns whatever ends it into a status."""
        pipe = GrpcPipe(context, self._recorder)
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
        codecs = self.terms.check(request)
        session = self._lobby.resume(request) if request.resume_token else None
        resumed = session is not None
        if session is None:
            session = await self._enter(request, pipe)
        assert self.pipeline is not None, "nobody enters before the renderer is ready"
        random_weights = bool(self.pipeline.networks.random_parts)
        stream = None
        try:
            accepted = self.terms.accepted(request, codecs, session, resumed=resumed)
            notices = self.terms.notices(request, session, random_weights, resumed=resumed)
            stream = self._stream(session, accepted, request, pipe)
            session.line = stream
            who = "resumed" if resumed else request.client or "new"
            log.info("session %s: %s", session.name, who)
            await stream.run(notices)
        finally:
            log.info("session %s: stream over, %s", session.name, session.stats)
            self._lobby.leave(session, stream, parks=stream is not None and stream.parks)

    def _stream(
        self, session: Session, accepted: Accepted, request: OpenRequest, pipe: Pipe
    ) -> SessionStream:
        return SessionStream(
            session,
            accepted,
            request.protocol_minor,
            pipe,
            self._desk,
            self._pool,
            self.terms.settings,
        )

    async def _first_message(self, pipe: Pipe) -> OpenRequest:
        wait_s = self.terms.settings.first_message_s
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
        """Wait for a place; the client hears how many are ahead, and that the server lives."""
        ahead: asyncio.Queue[int] = asyncio.Queue()

        async def tell() -> None:
            place = await ahead.get()
            while place > 0:
                await pipe.write(pack_response(Flow(0, place)).SerializeToString())
                try:
                    async with asyncio.timeout(self.terms.settings.keepalive_s):
                        place = await ahead.get()
                except TimeoutError:
                    continue

        telling = asyncio.create_task(tell())
        try:
            session = await self._lobby.enter(request, ahead.put_nowait)
            ahead.put_nowait(0)
            await asyncio.wait({telling}, timeout=self.terms.settings.flush_s)
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
        return session
