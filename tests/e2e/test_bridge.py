"""The engine's side against the real server, over real gRPC, with a small renderer."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from c2r.wire import Accepted, CoarseFrame, DroppedFrame, DropReason, FrameReply, RenderedFrame
from engine_bridge.client import (
    AsyncRenderClient,
    ClientOptions,
    Patience,
    RenderClient,
    State,
    endpoint_from_files,
    monotonic_us,
    server_info,
    stream_source,
)
from engine_bridge.sources import SyntheticSource
from tests.e2e.proxy import Proxy
from tests.engine_bridge.client_rig import HANG_S, ClientEvents, until
from tests.runtime.serving import FIRST, LATER, PRESET, SlowPipeline, direct, images, run, serving
from tests.runtime.test_server_tls import Authority

PATIENCE = Patience(
    silence_s=HANG_S, stuck_s=HANG_S, feedback_s=0.2, retry_first_s=0.05, retry_most_s=0.5
)
OPTIONS = ClientOptions(PRESET.width, PRESET.height, 16.0, prompt="noon", seed=5, patience=PATIENCE)


class Session(ClientEvents):
    """What one client reports and returns, with waits for it."""

    @property
    def rendered(self) -> list[RenderedFrame]:
        return [one for one in self.outcomes if isinstance(one, RenderedFrame)]

    @asynccontextmanager
    async def client(
        self, address: str, options: ClientOptions = OPTIONS
    ) -> AsyncIterator[AsyncRenderClient]:
        async with AsyncRenderClient(address, options, **self.callbacks) as client:
            await client.wait_streaming(HANG_S)
            yield client

    async def until(self, rendered: int) -> None:
        async with asyncio.timeout(HANG_S):
            while len(self.rendered) < rendered:
                await asyncio.sleep(0.01)


async def submit(client: AsyncRenderClient, coarse: np.ndarray, first: int = 0) -> None:
    """Each image as soon as it can go."""
    async with asyncio.timeout(HANG_S):
        for index, image in enumerate(coarse):
            while not client.has_room:
                await asyncio.sleep(0.002)
            client.submit(CoarseFrame(first + index, monotonic_us(), image))


async def streaming_again(client: AsyncRenderClient, session: Session) -> Accepted:
    """What the next session was granted, once the present one is gone."""
    async with asyncio.timeout(HANG_S):
        while not session.outages:
            await asyncio.sleep(0.01)
    return await client.wait_streaming(HANG_S)


def test_frames_are_those_of_the_renderer_bit_for_bit() -> None:
    async def test() -> None:
        coarse, session = images(FIRST + 3 * LATER, seed=3), Session()
        async with serving() as server, session.client(server.address) as client:
            await submit(client, coarse)
            await session.until(len(coarse))
        rendered = np.stack([one.rgb for one in session.rendered])
        assert (rendered == direct(coarse)).all()
        assert all(one.stages.total_ms > 0 for one in session.rendered)
        assert client.statistics.counts.dropped == {}

    run(test())


def test_a_connection_that_breaks_is_resumed_where_it_was() -> None:
    async def test() -> None:
        coarse, session = images(FIRST + 3 * LATER, seed=4), Session()
        half = FIRST + LATER
        async with (
            serving() as server,
            Proxy(server.address) as proxy,
            session.client(proxy.address) as client,
        ):
            await submit(client, coarse[:half])
            await session.until(half)
            proxy.cut()
            accepted = await streaming_again(client, session)
            assert accepted.resumed
            assert "the session goes on" in client.status.text
            await submit(client, coarse[half:], first=half)
            await session.until(len(coarse))
        assert [one.frame_id for one in session.outcomes] == list(range(len(coarse)))
        rendered = np.stack([one.rgb for one in session.rendered])
        assert (rendered == direct(coarse)).all(), "the renderer has kept its cache"

    run(test())


def test_a_half_open_connection_is_left_and_resumed() -> None:
    async def test() -> None:
        coarse, session, count = images(1, seed=5)[0], Session(), FIRST
        options = replace(OPTIONS, patience=replace(PATIENCE, silence_s=1.0))
        async with (
            serving(keepalive_s=0.2) as server,
            Proxy(server.address) as proxy,
            session.client(proxy.address, options) as client,
        ):
            await submit(client, images(FIRST, seed=5))
            await session.until(FIRST)
            proxy.freeze()
            async with asyncio.timeout(HANG_S):
                while not any("nothing came from the" in one.text for one in session.outages):
                    await asyncio.sleep(0.01)
            proxy.thaw()
            await client.wait_streaming(HANG_S)
            # On a slow machine the client may find the server silent again: its frames are lost.
            async with asyncio.timeout(HANG_S):
                while len(session.rendered) < FIRST + 2 * LATER:
                    client.submit(CoarseFrame(count, monotonic_us(), coarse))
                    count += 1
                    await asyncio.sleep(0.01)
        assert [one.frame_id for one in session.outcomes] == list(range(count))
        assert not any(isinstance(one, DroppedFrame) for one in session.outcomes[:FIRST])

    run(test(), 2 * HANG_S)


def test_controls_take_effect_on_the_frame_they_name() -> None:
    async def test() -> None:
        coarse, session = images(FIRST + 2 * LATER, seed=6), Session()
        async with serving() as server, session.client(server.address) as client:
            await submit(client, coarse[:FIRST])
            await session.until(FIRST)
            change = client.set_control(prompt="night", blend_chunks=1)
            wrong = client.set_control(prompt="x" * 5000)
            await submit(client, coarse[FIRST:], first=FIRST)
            await session.until(len(coarse))
        acks = {ack.control_id: ack for ack in session.acks}
        assert acks[change].frame_id == FIRST
        refusal = acks[wrong].refused
        assert refusal is not None
        assert "4096" in refusal.message
        rendered, noon = np.stack([one.rgb for one in session.rendered]), direct(coarse)
        assert (rendered[:FIRST] == noon[:FIRST]).all()
        assert (rendered[FIRST:] != noon[FIRST:]).any()

    run(test())


def test_latency_stays_bounded_however_slow_the_renderer_is() -> None:
    """Counted in chunks: a frame is rendered right after the window in flight, or dropped."""
    window_chunks, chunks = 2, 16

    async def test() -> None:
        session, pipeline = Session(), SlowPipeline(0.02)
        captured_in: list[int] = []
        waited: list[int] = []

        def note(outcome: FrameReply) -> None:
            session.outcomes.append(outcome)
            if isinstance(outcome, RenderedFrame):
                waited.append(pipeline.started - captured_in[outcome.frame_id])

        async with (
            serving(pipeline) as server,
            AsyncRenderClient(server.address, OPTIONS, on_result=note) as client,
        ):
            granted = await client.wait_streaming(HANG_S)
            assert granted.max_in_flight_chunks == window_chunks
            coarse = images(1, seed=7)[0]
            while pipeline.started < chunks:  # far faster than the renderer
                captured_in.append(pipeline.started)
                client.submit(CoarseFrame(len(captured_in) - 1, monotonic_us(), coarse))
                await asyncio.sleep(0.001)
        assert [one.frame_id for one in session.outcomes] == list(range(len(captured_in)))
        assert len(waited) > (chunks - 2) * LATER
        # Before it a window in flight, then its own chunk, then a window behind it.
        assert max(waited) <= 2 * window_chunks + 1

    run(test())


def test_a_clip_goes_through_the_blocking_client_without_a_drop() -> None:
    async def test() -> None:
        async with serving() as server:
            report = await asyncio.to_thread(_stream_clip, server.address)
        assert report.frames_sent == FIRST + 2 * LATER + 3
        assert report.frames_rendered == report.frames_sent
        assert report.drops == {}
        assert report.stages_ms["denoise"] > 0

    run(test())


def _stream_clip(address: str):
    source = SyntheticSource(PRESET.width, PRESET.height, 16.0)
    with RenderClient(address, OPTIONS) as client:
        count = FIRST + 2 * LATER + 3
        return stream_source(source, client, fps=16.0, frames=count, realtime=False)


@pytest.mark.parametrize("mutual", [False, True])
def test_a_stream_over_tls_with_a_token(tmp_path: Path, mutual: bool) -> None:
    async def test() -> None:
        authority = Authority(tmp_path, "authority")
        mine = authority.issue("client")
        tls = authority.issue("server")
        if mutual:
            tls = replace(tls, client_ca=authority.file)
        token = tmp_path / "token"
        token.write_text("a-token-of-good-length\n", encoding="utf-8")
        async with serving(tls=tls, token=token.read_bytes().strip()) as server:
            endpoint = endpoint_from_files(
                server.address,
                token_file=token,
                tls_ca=authority.file,
                tls_cert=mine.certificate if mutual else None,
                tls_key=mine.key if mutual else None,
            )
            async with AsyncRenderClient(endpoint, OPTIONS) as client:
                await client.wait_streaming(HANG_S)
                await submit(client, images(FIRST))
                got = [await anext(aiter(client.results())) for _ in range(FIRST)]
            assert all(isinstance(one, RenderedFrame) for one in got)
            info = await asyncio.to_thread(server_info, endpoint)
            assert info.ready

    run(test())


@pytest.mark.parametrize("fault", ["another authority", "expired", "no token"])
def test_a_server_that_cannot_be_trusted_is_refused_at_once(tmp_path: Path, fault: str) -> None:
    async def test() -> None:
        authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
        tls = authority.issue("server", days=-2 if fault == "expired" else 1)
        trusted = other if fault == "another authority" else authority
        async with serving(tls=tls, token=b"0123456789abcdef") as server:
            endpoint = endpoint_from_files(server.address, tls_ca=trusted.file)
            async with AsyncRenderClient(endpoint, OPTIONS) as client:
                with pytest.raises(ConnectionError) as refused:
                    await client.wait_streaming(HANG_S)
                assert client.status.state is State.FAILED
            word = "UNAUTHENTICATED" if fault == "no token" else "TLS fails"
            assert word in str(refused.value)

    run(test())


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_is_found(tmp_path: Path) -> None:
    session, patience = Session(), Patience(retry_first_s=0.05, retry_most_s=0.5)
    options = ClientOptions(64, 48, 16.0, prompt="noon", patience=patience)
    with _server_process(0, tmp_path / "one.log") as (process, port):
        client = RenderClient(f"127.0.0.1:{port}", options, **session.callbacks)
        client.start()
        next_id = _play(client, session, 0, rendered=20)
        process.kill()
        process.wait(HANG_S)
        next_id = _play(client, session, next_id, seconds=1.0)
        until(lambda: client.status.state is State.RECONNECTING)
    with _server_process(port, tmp_path / "two.log"):
        next_id = _play(client, session, next_id, rendered=len(session.rendered) + 20)
        client.close()
    assert [one.frame_id for one in session.outcomes] == list(range(next_id))
    greetings = [one.text for one in session.statuses if one.state is State.STREAMING]
    assert "has reset the stream" in greetings[-1]
    assert client.statistics.dropped[DropReason.UNSENT] > 0


def _play(
    client: RenderClient,
    session: Session,
    next_id: int,
    *,
    rendered: int | None = None,
    seconds: float = 60.0,
) -> int:
    """Frames at 60 a second for some seconds, or until so many were rendered; the next id."""
    source, end = SyntheticSource(64, 48, 16.0), time.monotonic() + seconds
    while time.monotonic() < end:
        if rendered is not None and len(session.rendered) >= rendered:
            return next_id
        client.submit(CoarseFrame(next_id, monotonic_us(), source.image(next_id)))
        next_id += 1
        time.sleep(1 / 60)
    assert rendered is None, f"{len(session.rendered)} frames came, {client.status.text}"
    return next_id


@contextmanager
def _server_process(port: int, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`c2r serve` in its own process, ready."""
    command = [sys.executable, "-m", "c2r", "serve", "--port", str(port)]
    command += ["--preset", "debug", "--random-weights"]
    with log.open("wb") as file:
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        process = subprocess.Popen(command, stdout=file, stderr=file, env=environment)
    try:
        yield process, _port_of(process, log)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def _port_of(process: subprocess.Popen[bytes], log: Path) -> int:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        text = log.read_text(encoding="utf-8")
        for line in text.splitlines():
            if line.startswith("listening on "):
                return int(line.rpartition(":")[2])
        assert process.poll() is None, text
        time.sleep(0.1)
    raise AssertionError(f"the server is not ready: {log.read_text(encoding='utf-8')}")
