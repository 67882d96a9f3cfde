"""The transport of `c2r bench --transport grpc`: a real server on loopback and a bare client.

The client keeps the granted window full, so the renderer never waits for frames; latency is then
that of a full window, from handing a frame over to the rendered one, decoded.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from itertools import pairwise
from typing import Any

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
    default_codecs,
    pack_request,
    unpack_response,
)
from c2r.wire.v1 import renderer_pb2 as pb
from c2r.wire.v1 import renderer_pb2_grpc as rpc
from runtime.bench.measure import PROMPT, Measured, chunks_to_fill
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline
from runtime.server.server import start_server
from runtime.session.settings import ServeSettings

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
FIRST_S, FRAME_S = 300.0, 60.0
"""Nothing waits longer: to begin with, and for each frame."""


class Answers:
    """Collects replies; those from `first` on are measured."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.sent_s: dict[int, float] = {}
        self.first_frame_s = 0.0
        self.begun_s = self.over_s = 0.0
        self.measured = Measured()
        self._chunk = -1
        self._chunks_s: list[float] = []

    def take(self, reply: FrameReply, now_s: float) -> None:
        """One reply to a frame."""
        if isinstance(reply, RenderedFrame) and not self.first_frame_s:
            self.first_frame_s = now_s
        if reply.frame_id < self.first:
            self.begun_s = now_s
            return
        self.over_s = now_s
        self.measured.frames_sent += 1
        if not isinstance(reply, RenderedFrame):
            self.measured.frames_dropped += 1
            return
        if reply.chunk_index != self._chunk:
            self._chunk = reply.chunk_index
            self._chunks_s.append(now_s)
        self.measured.frames_rendered += 1
        self.measured.latency_ms.append((now_s - self.sent_s[reply.frame_id]) * 1000)
        stages = {name.removesuffix("_ms"): value for name, value in vars(reply.stages).items()}
        self.measured.note(stages)

    def result(self) -> Measured:
        """Rates run from the last reply before the measured ones to the last of them."""
        self.measured.busy_ms = (self.over_s - self.begun_s) * 1000
        begun = pairwise([self.begun_s, *self._chunks_s])
        self.measured.chunk_ms = [(later - before) * 1000 for before, later in begun]
        return self.measured


async def _measure(
    pipeline: Pipeline, coarse: Frames, *, chunks: int, seed: int, on_chunk: Callable[[], None]
) -> Measured:
    preset = pipeline.preset
    fill = preset.chunk_frames(True) + (chunks_to_fill(pipeline) - 1) * preset.chunk_frames(False)
    frames = fill + chunks * preset.chunk_frames(False)
    begin = time.perf_counter()
    server = await start_server(pipeline, ServeSettings(port=0, health=False))
    try:
        await server.ready()
        warm_s = time.perf_counter()
        async with (
            asyncio.timeout(FIRST_S + frames * FRAME_S),
            grpc.aio.insecure_channel(server.address, OPTIONS) as channel,
        ):
            answers = Answers(fill)
            await _converse(channel, pipeline, coarse, frames, seed, answers, on_chunk)
    finally:
        await server.stop()
    measured = answers.result()
    measured.ttff_warm_ms = (answers.first_frame_s - warm_s) * 1000
    measured.ttff_cold_ms = (answers.first_frame_s - begin) * 1000
    return measured


def measure_grpc(
    pipeline: Pipeline, coarse: Frames, *, chunks: int, seed: int, on_chunk: Callable[[], None]
) -> Measured:
    """As `measure_local`, over gRPC on loopback; cold counts the server's warm-up in."""
    return asyncio.run(_measure(pipeline, coarse, chunks=chunks, seed=seed, on_chunk=on_chunk))


async def _converse(
    channel: grpc.aio.Channel,
    pipeline: Pipeline,
    coarse: Frames,
    frames: int,
    seed: int,
    answers: Answers,
    on_chunk: Callable[[], None],
) -> None:
    preset = pipeline.preset
    stub: Any = rpc.RenderServiceStub(channel)
    call = stub.RenderStream()
    codecs = default_codecs(loopback=True)
    request = OpenRequest(*preset.output_size, 240.0, codecs, prompt=PROMPT, seed=seed)
    await call.write(pack_request(request))
    accepted = await _accepted(call)
    encoder, decoder = CoarseEncoder(accepted), RenderedDecoder(accepted)
    room = asyncio.Semaphore(accepted.max_in_flight_chunks * accepted.chunk_frames)

    async def receive() -> None:
        answered = 0
        while answered < frames:
            body = unpack_response(await call.read())
            if isinstance(body, pb.FrameReply):
                answers.take(decoder.decode(body), time.perf_counter())
                answered += 1
                room.release()
                if answered % accepted.chunk_frames == 0:
                    on_chunk()

    receiving = asyncio.create_task(receive())
    for index in range(frames):
        await room.acquire()
        answers.sent_s[index] = time.perf_counter()
        rgb = np.ascontiguousarray(coarse[index % len(coarse)])
        frame = CoarseFrame(index, int(answers.sent_s[index] * 1e6), rgb)
        await call.write(encoder.encode(frame))
    await receiving
    await call.done_writing()


async def _accepted(call: Any) -> Accepted:
    while True:
        body = unpack_response(await call.read())
        if isinstance(body, Accepted):
            return body
