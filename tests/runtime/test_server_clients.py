"""Many clients at once, and clients that vanish: each harms nobody but itself."""

from __future__ import annotations

import asyncio
import gc
import itertools
import random
import threading
from contextlib import AsyncExitStack
from typing import Any

import grpc
import numpy as np
import torch

from c2r.wire import FailedFrame, RenderedFrame, pack_request
from c2r.wire.events import EndReason, EndRequest, Feedback
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.pipeline.pipeline import ChunkOutput, VideoState
from runtime.pipeline.stage_timer import Timing
from runtime.server.server import RunningServer
from tests.runtime.bare_client import RENDER, Client, packed, session, stream
from tests.runtime.serving import (
    FIRST,
    LATER,
    PATIENCE_S,
    Clock,
    SlowPipeline,
    direct,
    emptied,
    frames,
    images,
    only_session,
    request,
    run,
    serving,
    stopped_clock,
    until,
)


def test_eight_sessions_at_once_with_one_that_misbehaves():
    """The other seven get every frame, bit for bit what they get alone."""

    async def misbehave(client: Client) -> None:
        draw = random.Random(4)
        for number, frame in enumerate(frames(80)):
            bad = packed(client, frame)
            if number % 3 == 0:
                bad.frame.colour.payload.data = draw.randbytes(50)
            if number % 7 == 0:
                bad.frame.frame_id = 1
            await client.send(bad)
        await client.send(b"\xff" * 40)

    async def test() -> None:
        count = FIRST + 2 * LATER
        alone = {seed: direct(images(count, seed), seed=seed) for seed in range(7)}
        async with serving(max_sessions=8) as server, AsyncExitStack() as stack:
            enter = stack.enter_async_context
            good = [await enter(session(server, seed=seed)) for seed in range(7)]
            bad = await enter(session(server))
            works = [one.render(frames(count, seed)) for seed, one in enumerate(good)]
            await asyncio.gather(misbehave(bad), *works)
            assert await bad.over() is grpc.StatusCode.INVALID_ARGUMENT
            assert bad.ids(FailedFrame)
            for seed, client in enumerate(good):
                assert client.ids(RenderedFrame) == [*range(count)]
                rendered = client.frames()
                assert all(np.array_equal(rendered[one], alone[seed][one]) for one in range(count))

    run(test())


def test_a_fault_in_one_session_is_not_the_others():
    async def test() -> None:
        renderer = SlowPipeline()
        async with serving(renderer) as server, session(server) as one, session(server) as other:
            renderer.faults = [RuntimeError("this chunk")]
            await one.render(frames(FIRST))
            await other.render(frames(FIRST))
            assert one.ids(FailedFrame) == [*range(FIRST)]
            assert other.ids(RenderedFrame) == [*range(FIRST)]

    run(test())


def test_turns_are_fair():
    """A session with much to render waits for one with little after each of its chunks."""

    async def test() -> None:
        renderer = SlowPipeline(held=True)
        async with (
            serving(renderer) as server,
            session(server, seed=1) as greedy,
            session(server, seed=2) as modest,
        ):
            await greedy.send(*frames(FIRST + LATER))
            # Else the other's fewer frames may be decoded before.
            await until(lambda: renderer.seeds == [1])
            await modest.send(*frames(FIRST))
            sessions = server.admission.active
            wanted = {FIRST + LATER, FIRST}
            await until(lambda: {one.stats.received for one in sessions} == wanted)
            renderer.release(3)
            await greedy.answers(FIRST + LATER)
            await modest.answers(FIRST)
            assert renderer.seeds == [1, 2, 1]

    run(test())


def test_frames_leave_before_their_keys_and_values_are_written():
    """Meanwhile the next chunk is requested already, and begins when the write is over."""
    write = threading.Event()

    class HeldWrite(SlowPipeline):
        def finalize(self, state: VideoState, output: ChunkOutput) -> Timing:
            assert write.wait(PATIENCE_S)
            return super().finalize(state, output)

    async def test() -> None:
        renderer = HeldWrite()
        async with serving(renderer) as server, session(server) as one, session(server) as other:
            await one.send(*frames(FIRST))
            await one.answers(FIRST)
            streams: list[Any] = [each.stream for each in server.admission.active]
            await other.send(*frames(FIRST))
            await until(lambda: [each.chunks.busy for each in streams] == [False, True])
            assert renderer.started == 1
            write.set()
            await other.answers(FIRST)

    run(test())


def test_a_client_killed_in_mid_chunk_leaves_no_trace():
    async def test() -> None:
        renderer = SlowPipeline(held=True)
        async with serving(renderer, resume_grace_s=0) as server, session(server) as other:
            channel = grpc.aio.insecure_channel(server.address)
            async with stream(server, channel=channel) as victim:
                await victim.send(request())
                await victim.until(lambda: victim.accepted)
                await victim.send(*frames(FIRST + 2))
                await until(lambda: renderer.started)
                await channel.close()
            await until(lambda: server.admission.slots_taken == 1)
            renderer.release_all()
            await other.render(frames(FIRST))
            assert np.array_equal(other.frames()[0], direct(images(FIRST))[0])

    run(test())


def test_memory_returns_to_its_start():
    """Sessions that end badly in every way leave no tensor behind."""

    def tensors() -> int:
        gc.collect()
        return sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())

    async def misbehave(server: RunningServer, way: int) -> None:
        async with stream(server) as client:
            await client.send(request())
            await client.until(lambda: client.accepted)
            await client.send(*frames(FIRST + 1))
            if way == 1:
                await client.send(b"\xff" * 40)
            elif way == 2:
                await client.send(request())
            await client.until(lambda: client.replies or client.status is not None)

    async def test() -> None:
        async with serving(resume_grace_s=0) as server:
            await asyncio.gather(misbehave(server, 0), return_exceptions=True)
            await emptied(server)
            before = tensors()
            for way in (0, 1, 2) * 4:
                await asyncio.gather(misbehave(server, way), return_exceptions=True)
            await emptied(server)
            await until(lambda: tensors() <= before)  # freed a little after their slots

    run(test())


def test_a_client_that_never_reads_is_ended():
    """Its answers fill the network's buffers; the server gives up after the idle time."""

    async def test() -> None:
        with stopped_clock() as clock:
            limits: dict[str, Any] = {"idle_timeout_s": 1.0, "flush_s": 0.2, "resume_grace_s": 0}
            async with serving(**limits) as server:
                small = [("grpc.http2.lookahead_bytes", 1 << 16), ("grpc.http2.bdp_probe", 0)]
                async with grpc.aio.insecure_channel(server.address, small) as channel:
                    call: Any = channel.stream_stream(RENDER)()
                    await call.write(pack_request(request()).SerializeToString())
                    await until(lambda: server.admission.active)
                    silent: Any = only_session(server).stream
                    flooding = asyncio.create_task(flood(call))
                    await until(lambda: not silent.writer.has_room)
                    async with session(server) as other:
                        await outlive(server, other, clock)
                        await other.render(frames(FIRST))
                    flooding.cancel()
                    await asyncio.gather(flooding, return_exceptions=True)
                    call.cancel()

    run(test())


async def flood(call: Any) -> None:
    """Bad frames without end: each is answered, none is rendered."""
    body = pb.RenderStreamRequest()
    body.frame.colour.payload.data = bytes(20_000)
    for number in itertools.count():
        body.frame.frame_id = number
        await call.write(body.SerializeToString())


async def outlive(server: RunningServer, client: Client, clock: Clock) -> None:
    """Let time pass, with signs of life from one client, until no other one is on a stream."""
    stream: Any = server.admission.active[-1].stream
    while len(server.admission.active) > 1:
        await client.send(Feedback())
        await until(lambda: stream.reader.last_received_s == clock.now_s)
        clock.now_s += 0.3
        await asyncio.sleep(0.01)


class Relay:
    """Passes bytes between a client and a server until it is told to go silent."""

    def __init__(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        self._target = host, int(port)
        self._silent = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Relay:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.address = f"127.0.0.1:{port}"
        return self

    async def __aexit__(self, *error: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()

    def go_silent(self) -> None:
        """From now on nothing passes, and nothing is closed: a pulled cable."""
        self._silent.set()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        self._writers += [writer, back]
        self._tasks += [
            asyncio.create_task(self._pass(reader, back)),
            asyncio.create_task(self._pass(there, writer)),
        ]

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            if self._silent.is_set():
                await asyncio.Event().wait()
            writer.write(data)
            await writer.drain()


def test_a_half_open_connection_is_noticed():
    async def test() -> None:
        with stopped_clock() as clock:
            async with (
                serving(idle_timeout_s=1.0, flush_s=0.2) as server,
                Relay(server.address) as relay,
                session(relay.address) as client,
                session(server) as other,
            ):
                await client.render(frames(FIRST))
                assert client.accepted is not None
                token = client.accepted.resume_token
                relay.go_silent()
                await client.send(frames(1, first_id=90)[0])
                await outlive(server, other, clock)
                async with session(server, resume_token=token) as again:
                    assert again.accepted is not None
                    assert again.accepted.resumed, "the session was parked, not lost"
                    await again.send(EndRequest())
                    await again.over()
                    assert again.ended is not None
                    assert again.ended.reason is EndReason.CLIENT
                await other.render(frames(FIRST))

    run(test())
