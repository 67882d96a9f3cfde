"""A bare client (gRPC and `c2r.wire`, nothing else) for the tests of serving."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
import grpc.aio
import numpy as np

from c2r.wire import (
    Accepted,
    CoarseEncoder,
    CoarseFrame,
    FrameReply,
    OpenRequest,
    RenderedDecoder,
    RenderedFrame,
    pack_request,
    parse_response,
    unpack_response,
)
from c2r.wire.events import Ended, Flow
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.server.server import RunningServer
from runtime.server.service import SERVICE
from tests.runtime.serving import PATIENCE_S, request

RENDER, INFO = f"/{SERVICE}/RenderStream", f"/{SERVICE}/GetServerInfo"
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


@dataclass
class Client:
    """One stream. `replies` and `said` fill up as the server answers."""

    call: Any
    accepted: Accepted | None = None
    replies: list[FrameReply] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    status: grpc.StatusCode | None = None
    details: str = ""
    raw: list[bytes] = field(default_factory=list)
    _encoder: CoarseEncoder | None = None
    _decoder: RenderedDecoder | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)
    _receiving: asyncio.Task[None] | None = None

    def listen(self) -> None:
        self._receiving = asyncio.create_task(self._receive())

    async def _receive(self) -> None:
        try:
            while (data := await self.call.read()) is not grpc.aio.EOF:
                self._take(data)
                self._news.set()
            self.status = await self.call.code()
        except grpc.aio.AioRpcError as error:
            self.status, self.details = error.code(), error.details() or ""
        finally:
            self._news.set()

    def _take(self, data: bytes) -> None:
        self.raw.append(data)
        body = unpack_response(parse_response(data))
        if isinstance(body, pb.FrameReply):
            assert self._decoder is not None, "accepted comes first"
            self.replies.append(self._decoder.decode(body))
            return
        if isinstance(body, Accepted):
            self.accepted = body
            self._encoder, self._decoder = CoarseEncoder(body), RenderedDecoder(body)
        self.said.append(body)

    async def until(self, condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
        """What `condition` gives as soon as it is true; fails when the stream ends before that."""
        async with asyncio.timeout(timeout_s):
            while not (result := condition()):
                assert self.status is None, f"the stream ended: {self.status} {self.details}"
                self._news.clear()
                await self._news.wait()
            return result

    async def over(self, timeout_s: float = PATIENCE_S) -> grpc.StatusCode:
        """The status, once the stream is over."""
        async with asyncio.timeout(timeout_s):
            assert self._receiving is not None
            await self._receiving
        assert self.status is not None
        return self.status

    async def send(self, *bodies: Any) -> None:
        """Frames, bytes, requests or plain dataclasses, in order."""
        for body in bodies:
            if isinstance(body, CoarseFrame):
                assert self._encoder is not None, "wait for accepted"
                body = self._encoder.encode(body)
            elif not isinstance(body, bytes | pb.RenderStreamRequest):
                body = pack_request(body)
            data = body if isinstance(body, bytes) else body.SerializeToString()
            await self.call.write(data)

    async def render(self, sent: Sequence[Any]) -> None:
        """Send frames as the window allows, and wait for all their replies."""
        assert self.accepted is not None
        window = self.accepted.max_in_flight_chunks * self.accepted.chunk_frames
        begun = len(self.replies)
        for place, frame in enumerate(sent):
            await self.until(partial(self._answered, begun + place + 1 - window))
            await self.send(frame)
        await self.answers(begun + len(sent))

    def _answered(self, count: int) -> bool:
        return len(self.replies) >= count

    async def answers(self, count: int) -> list[FrameReply]:
        """The first `count` replies to frames."""
        await self.until(lambda: len(self.replies) >= count)
        return self.replies[:count]

    def heard(self, kind: type) -> list[Any]:
        """What the server said, of one kind."""
        return [body for body in self.said if isinstance(body, kind)]

    @property
    def ended(self) -> Ended | None:
        """The last message, once it came."""
        return next(iter(self.heard(Ended)), None)

    def frames(self) -> dict[int, np.ndarray]:
        """Frames by frame id."""
        rendered = [one for one in self.replies if isinstance(one, RenderedFrame)]
        return {one.frame_id: one.rgb for one in rendered}

    def ids(self, kind: type) -> list[int]:
        """Frame ids of one kind of reply, in the order of arrival."""
        return [one.frame_id for one in self.replies if isinstance(one, kind)]


@asynccontextmanager
async def stream(
    server: RunningServer | str, *, channel: Any = None, metadata: Any = None
) -> AsyncIterator[Client]:
    """A stream on which nothing was said yet."""
    address = server if isinstance(server, str) else server.address
    own = grpc.aio.insecure_channel(address, OPTIONS) if channel is None else None
    call: Any = (own or channel).stream_stream(RENDER)(metadata=metadata)
    client = Client(call)
    client.listen()
    try:
        yield client
    finally:
        call.cancel()
        assert client._receiving is not None
        await asyncio.gather(client._receiving, return_exceptions=True)
        if own is not None:
            await own.close()


@asynccontextmanager
async def session(
    server: RunningServer | str, asked: OpenRequest | None = None, **changes: Any
) -> AsyncIterator[Client]:
    """A stream whose session was accepted, all notices heard."""
    async with stream(server) as client:
        await client.send(asked or request(**changes))
        await client.until(lambda: client.accepted and client.heard(Flow)[-1:])
        yield client


def same(client: Client, expected: np.ndarray, first_id: int = 0) -> bool:
    """The client has exactly these frames, bit for bit."""
    rendered = client.frames()
    wanted = range(first_id, first_id + len(expected))
    assert sorted(rendered) == [*wanted]
    return all(np.array_equal(rendered[one], expected[one - first_id]) for one in wanted)


def packed(client: Client, frame: CoarseFrame) -> pb.RenderStreamRequest:
    """A frame as the client would send it."""
    assert client._encoder is not None
    return client._encoder.encode(frame)
