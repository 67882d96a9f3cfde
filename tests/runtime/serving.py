"""A small server and a bare client (gRPC and `c2r.wire`, nothing else) for the tests of serving."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

import grpc
import grpc.aio
import numpy as np
import torch

from c2r.models.configs import (
    ControlConfig,
    DinoConfig,
    DiTConfig,
    Preset,
    StreamConfig,
    TextConfig,
    TinyVAEConfig,
)
from c2r.weights.renderer import seeded_networks
from c2r.wire import (
    Accepted,
    CoarseEncoder,
    CoarseFrame,
    FrameReply,
    OpenRequest,
    PictureDecoder,
    RenderedFrame,
    ResetReason,
    pack_request,
    parse_response,
    unpack_response,
)
from c2r.wire.events import Ended, Flow
from c2r.wire.formats import Codec, CodecLists
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.core import Frames
from runtime.pipeline.pipeline import ChunkOutput, Pipeline, VideoState
from runtime.pipeline.stage_timer import Timing
from runtime.server.server import RunningServer, start_server
from runtime.server.service import SERVICE
from runtime.session.settings import ServeSettings

torch.set_num_threads(1)

PRESET = Preset(
    name="small",
    width=64,
    height=48,
    dit=DiTConfig(dim=48, ffn_dim=64, heads=2, layers=2, text_dim=32, text_len=64),
    dino=DinoConfig(hidden=32, mlp=64, layers=1, heads=2),
    vae=TinyVAEConfig(
        patch=2,
        encoder_width=8,
        encoder_time=(2, 2),
        decoder_widths=(16, 8, 8),
        decoder_time=(2, 2),
        blocks=1,
    ),
    text=TextConfig(
        dim=32, ffn=32, layers=1, heads=2, head_dim=16, vocab=259, length=64, tokenizer="bytes"
    ),
    control=ControlConfig(hidden=32, inject="first:1"),
    stream=StreamConfig(chunk=2, window=8, sink=2, timesteps=(1000.0, 500.0)),
)
FIRST, LATER = PRESET.chunk_frames(True), PRESET.chunk_frames(False)
RAW = CodecLists((Codec.RAW,), (Codec.RAW,))
SETTINGS = ServeSettings(port=0, warm_chunks=0, keepalive_s=30.0, drain_s=5.0, flush_s=3.0)
RENDER, INFO = f"/{SERVICE}/RenderStream", f"/{SERVICE}/GetServerInfo"
PATIENCE_S = 20.0


@cache
def pipeline() -> Pipeline:
    """The small renderer; one for all tests."""
    return Pipeline(seeded_networks(PRESET, seed=1))


class SlowPipeline(Pipeline):
    """A renderer that takes its time, and fails when told to.

    `chunk_s`: added to each chunk. `faults`: errors to raise, the next first; None renders.
    """

    def __init__(self, chunk_s: float = 0.0) -> None:
        super().__init__(pipeline().networks)
        self.chunk_s = chunk_s
        self.faults: list[Exception | None] = []
        self.write_faults: list[Exception | None] = []
        self.started = 0

    def render(
        self, state: VideoState, frames: Frames, text: Any, strength: float = 1.0
    ) -> ChunkOutput:
        self.started += 1
        if self.faults and (fault := self.faults.pop(0)) is not None:
            raise fault
        time.sleep(self.chunk_s)
        return super().render(state, frames, text, strength)

    def finalize(self, state: VideoState, rendered: ChunkOutput) -> Timing:
        if self.write_faults and (fault := self.write_faults.pop(0)) is not None:
            raise fault
        return super().finalize(state, rendered)


def run(test: Coroutine[Any, Any, None], timeout_s: float = 60.0) -> None:
    """Run an asynchronous test; nothing may hang."""

    async def bounded() -> None:
        async with asyncio.timeout(timeout_s):
            await test

    asyncio.run(bounded())


@asynccontextmanager
async def serving(source: Any = None, **settings: Any) -> AsyncIterator[RunningServer]:
    """A ready server on a port of its own."""
    server = await start_server(source or pipeline(), replace(SETTINGS, **settings))
    try:
        await server.ready()
        yield server
    finally:
        await server.stop()


def images(count: int, seed: int = 0) -> np.ndarray:
    """Coarse images `[count, height, width, 3]`."""
    size = (count, PRESET.height, PRESET.width, 3)
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8)


def frames(count: int, seed: int = 0, first_id: int = 0, resets: Sequence[int] = ()) -> list:
    """Coarse frames; those whose place is in `resets` begin anew."""
    return [
        CoarseFrame(
            frame_id=first_id + index,
            capture_time_us=1_000_000 + 1000 * index,
            rgb=image,
            reset=ResetReason.CUT if index in resets else None,
        )
        for index, image in enumerate(images(count, seed))
    ]


def request(**changes: Any) -> OpenRequest:
    """An `open` for the small server."""
    base = OpenRequest(PRESET.width, PRESET.height, 16.0, RAW, prompt="noon", seed=5)
    return replace(base, **changes)


@dataclass
class Client:
    """One stream. `replies` and `said` fill up as the server answers, with the time of arrival."""

    call: Any
    accepted: Accepted | None = None
    replies: list[FrameReply] = field(default_factory=list)
    reply_s: list[float] = field(default_factory=list)
    said: list[Any] = field(default_factory=list)
    status: grpc.StatusCode | None = None
    details: str = ""
    raw: list[bytes] = field(default_factory=list)
    _encoder: CoarseEncoder | None = None
    _decoder: PictureDecoder | None = None
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
            self.reply_s.append(time.perf_counter())
            return
        if isinstance(body, Accepted):
            self.accepted = body
            self._encoder, self._decoder = CoarseEncoder(body), PictureDecoder(body)
        self.said.append(body)

    async def until(self, found: Callable[[], Any], timeout_s: float = PATIENCE_S) -> Any:
        """What `found` gives as soon as it is true; fails when the stream ends before that."""
        async with asyncio.timeout(timeout_s):
            while not (result := found()):
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

    def pictures(self) -> dict[int, np.ndarray]:
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


OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)]


@asynccontextmanager
async def session(
    server: RunningServer | str, asked: OpenRequest | None = None, **changes: Any
) -> AsyncIterator[Client]:
    """A stream whose session was accepted, all notices heard."""
    async with stream(server) as client:
        await client.send(asked or request(**changes))
        await client.until(lambda: client.accepted and client.heard(Flow)[-1:])
        yield client


def direct(
    coarse: np.ndarray, seed: int = 5, prompt: str = "noon", resets: Sequence[int] = ()
) -> np.ndarray:
    """What the pipeline gives for whole chunks, called directly; begins anew at `resets`."""
    renderer = pipeline()
    state, text = renderer.open(seed), renderer.text(renderer.prompt(prompt))
    made, done = [], 0
    while done < len(coarse):
        if done in resets:
            state.reset()
        count = renderer.frames_wanted(state)
        rendered = renderer.render(state, coarse[done : done + count], text)
        renderer.finalize(state, rendered)
        made.append(rendered.frames)
        done += count
    return np.concatenate(made)


def same(client: Client, expected: np.ndarray, first_id: int = 0) -> bool:
    """The client has exactly these pictures, bit for bit."""
    found = client.pictures()
    wanted = range(first_id, first_id + len(expected))
    assert sorted(found) == [*wanted]
    return all(np.array_equal(found[one], expected[one - first_id]) for one in wanted)


def packed(client: Client, frame: CoarseFrame) -> pb.RenderStreamRequest:
    """A frame as the client would send it."""
    assert client._encoder is not None
    return client._encoder.encode(frame)
