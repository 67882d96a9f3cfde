"""A server's life and its doors: loading, admission, limits, tokens, draining."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from c2r.wire import DroppedFrame, RenderedFrame
from c2r.wire.convert import from_message
from c2r.wire.events import EndReason, EndRequest, Flow, SessionWarning, WarningCode
from c2r.wire.formats import Codec, CodecLists, SideChannel
from c2r.wire.handshake import ServerInfo
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.pipeline.pipeline import Pipeline
from runtime.server.server import PendingPipeline, start_server
from runtime.server.service import SERVICE
from tests.runtime.bare_client import INFO, session, stream
from tests.runtime.serving import (
    FIRST,
    LATER,
    PATIENCE_S,
    PRESET,
    SETTINGS,
    SlowPipeline,
    emptied,
    frames,
    pipeline,
    request,
    run,
    serving,
    until,
)

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


async def info(address: str, metadata: Any = None) -> ServerInfo:
    async with grpc.aio.insecure_channel(address) as channel:
        call = channel.unary_unary(
            INFO,
            request_serializer=pb.GetServerInfoRequest.SerializeToString,
            response_deserializer=pb.GetServerInfoResponse.FromString,
        )
        response = await call(pb.GetServerInfoRequest(), metadata=metadata, timeout=PATIENCE_S)
        return from_message(ServerInfo, response)


async def health(channel: Any, service: str = "") -> Any:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    asked = health_pb2.HealthCheckRequest(service=service)
    return (await stub.Check(asked, timeout=PATIENCE_S)).status


# Loading


def test_a_session_opened_while_loading_waits_for_its_turn():
    loaded = threading.Event()

    def load() -> Pipeline:
        assert loaded.wait(PATIENCE_S)
        return pipeline()

    async def test() -> None:
        source = PendingPipeline(PRESET, load)
        server = await start_server(source, replace(SETTINGS, warm_chunks=2))
        try:
            async with grpc.aio.insecure_channel(server.address) as channel:
                assert await health(channel) == await health(channel, SERVICE) == NOT_SERVING
                assert not (await info(server.address)).ready
                async with stream(server) as client:
                    await client.send(request())
                    await client.until(lambda: client.heard(Flow))
                    assert client.heard(Flow)[0] == Flow(window_frames=0, queue_position=1)
                    loaded.set()
                    await client.until(lambda: client.accepted)
                    await client.render(frames(FIRST))
                await server.ready()
                assert await health(channel) == await health(channel, SERVICE) == SERVING
        finally:
            loaded.set()
            await server.stop()

    run(test())


def test_what_fails_to_load_is_raised():
    def load() -> Pipeline:
        raise ValueError("the weights are not whole")

    async def test() -> None:
        server = await start_server(PendingPipeline(PRESET, load), SETTINGS)
        try:
            with pytest.raises(ValueError, match="not whole"):
                await server.ready()
        finally:
            await server.stop()

    run(test())


def test_server_info():
    async def test() -> None:
        async with serving(max_sessions=3) as server, session(server):
            told = await info(server.address)
            assert told.ready
            assert told.random_weights
            assert (told.preset, told.width, told.height) == ("debug", 64, 48)
            assert (told.chunk_latents, told.device) == (PRESET.stream.chunk, "cpu")
            assert (told.sessions, told.max_sessions) == (1, 3)
            assert told.limits.max_width == 64
            assert set(told.codecs.coarse) == set(Codec)
            assert set(told.side_channels) == set(SideChannel)

    run(test())


def test_side_channels_that_nothing_reads_are_not_granted():
    """Depth and motion take an engine longer to draw than its colours."""

    async def test() -> None:
        async with serving(side_channels=(SideChannel.DEPTH,)) as server:
            assert (await info(server.address)).side_channels == (SideChannel.DEPTH,)
            async with session(server, side_channels=tuple(SideChannel)) as client:
                assert client.accepted is not None
                assert client.accepted.side_channels == (SideChannel.DEPTH,)
        async with serving(side_channels=()) as server, session(server) as client:
            assert (await info(server.address)).side_channels == ()
            assert client.accepted is not None
            assert client.accepted.side_channels == ()

    run(test())


def test_reflection_is_opt_in():
    async def services(address: str) -> list[str]:
        async with grpc.aio.insecure_channel(address) as channel:
            stub: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
            asked = reflection_pb2.ServerReflectionRequest(list_services="")
            async for answer in stub.ServerReflectionInfo(iter([asked]), timeout=PATIENCE_S):
                return [one.name for one in answer.list_services_response.service]
        return []

    async def test() -> None:
        async with serving(reflection=True) as server:
            assert SERVICE in await services(server.address)
        async with serving() as server:
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await services(server.address)
            assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED

    run(test())


# What a session is granted


def test_what_is_granted_is_what_was_asked():
    async def test() -> None:
        async with serving() as server:
            asked = request(
                codecs=CodecLists((Codec.ZSTD, Codec.RAW), (Codec.JPEG,)),
                side_channels=(SideChannel.CAMERA,),
                strength=0.5,
                fps=24.0,
            )
            async with session(server, asked) as client:
                granted = client.accepted
                assert granted is not None
                assert granted.codecs.coarse is granted.codecs.plane is Codec.ZSTD
                assert granted.codecs.picture is Codec.JPEG
                assert granted.side_channels == (SideChannel.CAMERA,)
                assert (granted.first_chunk_frames, granted.chunk_frames) == (FIRST, LATER)
                assert (granted.strength, granted.seed, granted.fps) == (0.5, 5, 24.0)
                assert len(granted.resume_token) == 32
                codes = [one.code for one in client.heard(SessionWarning)]
                assert codes == [WarningCode.RANDOM_WEIGHTS]
                assert client.heard(Flow) == [Flow(granted.max_in_flight_chunks * LATER)]

    run(test())


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"width": 128, "height": 96}, "INVALID_ARGUMENT", "--width 128 --height 96"),
        ({"fps": 1000.0}, "RESOURCE_EXHAUSTED", "open.fps"),
        ({"prompt": "x" * 5000}, "RESOURCE_EXHAUSTED", "open.prompt"),
        ({"protocol_major": 9}, "FAILED_PRECONDITION", "speaks protocol 9"),
    ],
)
def test_what_cannot_be_granted_is_refused_with_what_to_change(changes, code, words):
    async def test() -> None:
        async with serving() as server, stream(server) as client:
            await client.send(request(**changes))
            assert await client.over() is grpc.StatusCode[code]
            assert words in client.details
            assert server.admission.slots_taken == 0

    run(test())


def test_another_minor_version_is_a_warning_and_its_news_are_ignored():
    async def test() -> None:
        async with serving() as server, session(server, protocol_minor=7) as client:
            codes = [one.code for one in client.heard(SessionWarning)]
            assert WarningCode.PROTOCOL_MINOR in codes
            await client.send(b"\xfa\x01\x02hi", *frames(FIRST))  # field 31, of later servers
            assert len(await client.answers(FIRST)) == FIRST

    run(test())


# Admission


def test_who_waits_hears_the_position_and_moves_up():
    async def test() -> None:
        async with (
            serving(max_sessions=1, max_waiting=2, resume_grace_s=0) as server,
            session(server) as first,
            stream(server) as two,
            stream(server) as three,
        ):
            await two.send(request())
            await two.until(lambda: [one.queue_position for one in two.heard(Flow)] == [1])
            await three.send(request())
            await three.until(lambda: [one.queue_position for one in three.heard(Flow)] == [2])
            async with stream(server) as four:
                await four.send(request())
                assert await four.over() is grpc.StatusCode.UNAVAILABLE
                assert "full" in four.details
            await first.send(EndRequest())
            await first.over()
            await two.until(lambda: two.accepted)
            await three.until(lambda: three.heard(Flow)[-1].queue_position == 1)
            two.call.cancel()
            await three.until(lambda: three.accepted)
            await three.render(frames(FIRST))

    run(test())


def test_who_leaves_the_queue_makes_room():
    async def test() -> None:
        async with serving(max_sessions=1, max_waiting=1, resume_grace_s=0) as server:
            async with session(server) as first, stream(server) as two:
                await two.send(request())
                await two.until(lambda: two.heard(Flow))
                two.call.cancel()
                await until(lambda: server.admission.queued == 0)
                async with stream(server) as three:
                    await three.send(request())
                    await three.until(lambda: three.heard(Flow))
                    await first.send(EndRequest())
                    await three.until(lambda: three.accepted)
            await emptied(server)

    run(test())


# Tokens


def test_only_who_has_the_token_gets_in():
    async def test() -> None:
        token = b"correct-horse-battery"
        async with serving(token=token) as server:
            wrong = [None, [("authorization", "Bearer wrong")], [("authorization", token.decode())]]
            for metadata in wrong:
                async with stream(server, metadata=metadata) as client:
                    assert await client.over() is grpc.StatusCode.UNAUTHENTICATED
                    assert "authorization: Bearer" in client.details
                with pytest.raises(grpc.aio.AioRpcError, match="UNAUTHENTICATED"):
                    await info(server.address, metadata)
            good = [("authorization", f"Bearer {token.decode()}")]
            assert (await info(server.address, good)).ready
            async with stream(server, metadata=good) as client:
                await client.send(request())
                await client.until(lambda: client.accepted)
            async with grpc.aio.insecure_channel(server.address) as channel:
                assert await health(channel) == SERVING, "probes carry no token"

    run(test())


def test_metadata_beyond_the_limit_is_refused():
    async def test() -> None:
        async with serving() as server:
            async with stream(server, metadata=[("x-long", "x" * 40_000)]) as client:
                assert await client.over() is grpc.StatusCode.RESOURCE_EXHAUSTED
            async with session(server) as client:
                await client.render(frames(FIRST))

    run(test())


# The end


def test_draining_finishes_the_chunk_and_says_so():
    async def test() -> None:
        renderer = SlowPipeline(held=True)
        async with (
            serving(renderer, max_sessions=2) as server,
            session(server) as busy,
            session(server) as idle,
            stream(server) as queued,
        ):
            await queued.send(request())
            await queued.until(lambda: queued.heard(Flow))
            await busy.send(*frames(FIRST + 2))
            await until(lambda: FIRST + 2 in {s.stats.received for s in server.admission.active})
            async with grpc.aio.insecure_channel(server.address) as channel:
                assert await health(channel) == SERVING
                stopping = asyncio.create_task(server.stop())
                await idle.over()
                assert await health(channel) == NOT_SERVING
                renderer.release()
                assert await busy.over() is grpc.StatusCode.OK
                await stopping
            assert busy.ids(RenderedFrame) == [*range(FIRST)]
            assert busy.ids(DroppedFrame) == [FIRST, FIRST + 1]
            for client in (busy, idle):
                assert client.ended is not None
                assert client.ended.reason is EndReason.SHUTDOWN
                assert not client.ended.resumable
            assert await queued.over() is grpc.StatusCode.UNAVAILABLE

    run(test())


def test_a_session_that_does_not_finish_cannot_hold_up_the_end():
    async def test() -> None:
        renderer = SlowPipeline(held=True)
        async with serving(renderer, drain_s=0.2) as server, session(server) as client:
            await client.send(*frames(FIRST))
            await until(lambda: renderer.started)
            await server.stop()
            await client.over()
            renderer.release_all()

    run(test())


def test_a_taken_port_is_said():
    async def test() -> None:
        async with serving() as server:
            port = int(server.address.rpartition(":")[2])
            words = f"cannot listen on 127.0.0.1:{port}: the port is taken"
            with pytest.raises(OSError, match=words):
                await start_server(pipeline(), replace(SETTINGS, port=port))

    run(test())
