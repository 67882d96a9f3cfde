"""A renderer that is lost: a device that computes no more, a thread that ends or never returns."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from c2r.wire import FailedFrame
from c2r.wire.events import EndReason
from runtime.pipeline import watchdog
from runtime.pipeline.render_thread import RECENT, RenderThread
from tests.runtime.bare_client import session, stream
from tests.runtime.serving import FIRST, SlowPipeline, frames, request, run, serving

START_S = 60


async def health(address: str) -> str:
    async with grpc.aio.insecure_channel(address) as channel:
        stub: Any = health_pb2_grpc.HealthStub(channel)
        status = (await stub.Check(health_pb2.HealthCheckRequest())).status
    return str(health_pb2.HealthCheckResponse.ServingStatus.Name(status))


class Sick(SlowPipeline):
    """Its device may be lost for good."""

    lost = False

    def probe(self) -> None:
        if self.lost:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        super().probe()


def device_error(renderer: Sick) -> None:
    renderer.lost = True
    renderer.faults = [RuntimeError("CUDA error")]


def write_error(renderer: Sick) -> None:
    renderer.lost = True
    renderer.write_faults = [RuntimeError("CUDA error")]


def end_of_the_thread(renderer: Sick) -> None:
    fault: Any = SystemExit("something called exit")
    renderer.faults = [fault]


def no_return(renderer: Sick) -> None:
    renderer.held = True


@pytest.fixture
def impatient(monkeypatch):
    for name, value in (("TICK_S", 0.02), ("FLOOR_S", 0.3), ("MULTIPLE", 2), ("RECENT", 1)):
        monkeypatch.setattr(watchdog, name, value)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("lose", [device_error, write_error, end_of_the_thread, no_return])
def test_everybody_is_told_at_once(lose):
    async def test() -> None:
        renderer = Sick()
        async with serving(renderer) as server, session(server) as idle, session(server) as client:
            await client.render(frames(FIRST))
            assert await health(server.address) == "SERVING"
            lose(renderer)
            await client.send(*frames(8, first_id=50))
            for one in (client, idle):
                assert await one.over() is grpc.StatusCode.INTERNAL
                assert "lost" in one.details
                assert one.ended is not None
                assert one.ended.reason is EndReason.FAULT
            await server.lost.wait()
            assert await health(server.address) == "NOT_SERVING"
            async with stream(server) as late:
                await late.send(request())
                assert await late.over() is grpc.StatusCode.UNAVAILABLE
            renderer.release_all()

    run(test())


def test_memory_that_ran_out_loses_nothing():
    async def test() -> None:
        renderer = Sick()
        renderer.faults = [RuntimeError("out of memory")]
        async with serving(renderer) as server, session(server) as client:
            await client.render(frames(FIRST))
            assert client.ids(FailedFrame)
            await client.render(frames(FIRST, first_id=50))
            assert len(client.frames()) == FIRST
            assert not server.lost.is_set()

    run(test())


def test_calls_of_a_lost_thread_fail():
    async def test() -> None:
        thread = RenderThread()
        thread.start()

        def leave() -> None:
            raise SystemExit

        for _ in range(2):  # while it is being lost, and afterwards
            with pytest.raises(RuntimeError, match="ended"):
                await thread.call(leave)
        assert thread.stop(1.0)

    run(test())


def test_nothing_is_watched_before_enough_is_measured():
    async def test() -> None:
        thread = RenderThread()
        assert watchdog.limit_s(thread, 9.0) is None
        thread.done = 2 * RECENT
        thread.recent_s.extend([0.1, 25.0, 0.2])
        assert watchdog.limit_s(thread, 0.5) == 25.0 * watchdog.MULTIPLE
        thread.recent_s.extend([0.1] * RECENT)
        assert watchdog.limit_s(thread, 0.5) == watchdog.FLOOR_S
        assert watchdog.limit_s(thread, 70.0) == 70.0 * watchdog.MULTIPLE, "clients that only left"

    run(test())


SERVER = """
import sys
from runtime.cli import serve
from tests.runtime.test_renderer_lost import Sick, device_error

renderer = Sick()
serve.load_pipeline = lambda choice, console: renderer
serve.LOST_GRACE_S = 0.5
device_error(renderer)
renderer.faults = [None, None, *renderer.faults]  # after the warm-up
sys.exit(serve.main(["--port", "0", "--preset", "debug", "--random-weights"]))
"""


def test_the_process_ends_so_that_a_supervisor_starts_it_again():
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("listening on ").strip()

        async def test() -> None:
            async with session(address) as client:
                await client.send(*frames(FIRST))
                await client.over()
            assert await health(address) == "NOT_SERVING"

        run(test())
        _, errors = process.communicate(timeout=START_S)
        assert process.returncode == 3
        assert "the renderer is lost" in errors
    finally:
        process.kill()
        process.communicate(timeout=START_S)
