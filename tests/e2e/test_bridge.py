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
from c2r.wire.events import ControlAck
from engine_bridge.client.async_client import AsyncRenderClient
from engine_bridge.client.channel import server_info
from engine_bridge.client.endpoint import Endpoint, endpoint_from_files
from engine_bridge.client.options import ClientOptions, Patience
from engine_bridge.client.render_client import RenderClient
from engine_bridge.client.source_run import stream_source
from engine_bridge.client.statistics import monotonic_us
from engine_bridge.client.status import State, Status
from engine_bridge.sources import SyntheticSource
from tests.e2e.proxy import Proxy
from tests.runtime.serving import FIRST, LATER, PRESET, SlowPipeline, direct, images, run, serving
from tests.runtime.test_server_tls import Authority

PATIENCE = Patience(
    silence_s=2.0, stuck_s=8.0, feedback_s=0.2, retry_first_s=0.05, retry_most_s=0.5
)
OPTIONS = ClientOptions(PRESET.width, PRESET.height, 16.0, prompt="noon", seed=5, patience=PATIENCE)


class Story:
    """What a client says and gives out."""

    def __init__(self) -> None:
        self.outcomes: list[FrameReply] = []
        self.statuses: list[Status] = []
        self.acks: list[ControlAck] = []

    @property
    def rendered(self) -> list[RenderedFrame]:
        return [one for one in self.outcomes if isinstance(one, RenderedFrame)]

    @asynccontextmanager
    async def client(self, address: str) -> AsyncIterator[AsyncRenderClient]:
        client = AsyncRenderClient(
            Endpoint(address),
            OPTIONS,
            on_result=self.outcomes.append,
            on_status=self.statuses.append,
            on_ack=self.acks.append,
        )
        async with client:
            await client.wait_streaming(10)
            yield client

    async def until(self, rendered: int) -> None:
        async with asyncio.timeout(20):
            while len(self.rendered) < rendered:
                await asyncio.sleep(0.01)


async def submit(client: AsyncRenderClient, coarse: np.ndarray, first: int = 0) -> None:
    """Each image as soon as it can go."""
    async with asyncio.timeout(20):
        for index, image in enumerate(coarse):
            while not client.has_room:
                await asyncio.sleep(0.002)
            client.submit(CoarseFrame(first + index, monotonic_us(), image))


async def streaming_again(client: AsyncRenderClient, story: Story) -> Accepted:
    """What the next session was granted, once the present one is gone."""
    async with asyncio.timeout(20):
        while not any(one.state is State.RECONNECTING for one in story.statuses):
            await asyncio.sleep(0.01)
    return await client.wait_streaming(20)


def test_pictures_are_those_of_the_renderer_bit_for_bit() -> None:
    async def test() -> None:
        coarse, story = images(FIRST + 3 * LATER, seed=3), Story()
        async with serving() as server, story.client(server.address) as client:
            await submit(client, coarse)
            await story.until(len(coarse))
        pictures = np.stack([one.rgb for one in story.rendered])
        assert (pictures == direct(coarse)).all()
        assert all(one.stages.total_ms > 0 for one in story.rendered)
        assert client.statistics.counts.dropped == {}

    run(test())


def test_a_connection_that_breaks_is_resumed_where_it_was() -> None:
    async def test() -> None:
        coarse, story = images(FIRST + 3 * LATER, seed=4), Story()
        half = FIRST + LATER
        async with (
            serving() as server,
            Proxy(server.address) as proxy,
            story.client(proxy.address) as client,
        ):
            await submit(client, coarse[:half])
            await story.until(half)
            proxy.cut()
            accepted = await streaming_again(client, story)
            assert accepted.resumed
            assert "the session goes on" in client.status.text
            await submit(client, coarse[half:], first=half)
            await story.until(len(coarse))
        assert [one.frame_id for one in story.outcomes] == list(range(len(coarse)))
        pictures = np.stack([one.rgb for one in story.rendered])
        assert (pictures == direct(coarse)).all(), "the renderer has kept its past"

    run(test())


def test_a_half_open_connection_is_left_and_resumed() -> None:
    async def test() -> None:
        coarse, story = images(60, seed=5), Story()
        async with (
            serving(keepalive_s=0.3) as server,
            Proxy(server.address) as proxy,
            story.client(proxy.address) as client,
        ):
            await submit(client, coarse[:FIRST])
            await story.until(FIRST)
            proxy.freeze()
            client.submit(CoarseFrame(FIRST, monotonic_us(), coarse[FIRST]))
            async with asyncio.timeout(20):
                while client.status.state is not State.RECONNECTING:
                    await asyncio.sleep(0.01)
            assert "nothing came from the server" in client.status.text
            proxy.thaw()
            await client.wait_streaming(20)
            await submit(client, coarse[FIRST + 1 :], first=FIRST + 1)
            await story.until(FIRST + 2 * LATER)
        assert [one.frame_id for one in story.outcomes] == list(range(len(coarse)))
        assert not any(isinstance(one, DroppedFrame) for one in story.outcomes[:FIRST])

    run(test())


def test_controls_take_effect_on_the_frame_they_name() -> None:
    async def test() -> None:
        coarse, story = images(FIRST + 2 * LATER, seed=6), Story()
        async with serving() as server, story.client(server.address) as client:
            await submit(client, coarse[:FIRST])
            await story.until(FIRST)
            change = client.set_control(prompt="night", blend_chunks=1)
            wrong = client.set_control(prompt="x" * 5000)
            await submit(client, coarse[FIRST:], first=FIRST)
            await story.until(len(coarse))
        acks = {ack.control_id: ack for ack in story.acks}
        assert acks[change].frame_id == FIRST
        refusal = acks[wrong].refused
        assert refusal is not None
        assert "4096" in refusal.message
        pictures, noon = np.stack([one.rgb for one in story.rendered]), direct(coarse)
        assert (pictures[:FIRST] == noon[:FIRST]).all()
        assert (pictures[FIRST:] != noon[FIRST:]).any()

    run(test())


def test_latency_stays_bounded_at_sixty_frames_a_second() -> None:
    """Against a renderer of about twenty: below two chunk times and a hundred milliseconds."""
    chunk_s, count = 0.4, 300

    async def test() -> None:
        story, took = Story(), []

        def note(outcome: FrameReply) -> None:
            story.outcomes.append(outcome)
            if isinstance(outcome, RenderedFrame):
                took.append((monotonic_us() - outcome.capture_time_us) / 1e6)

        async with (
            serving(SlowPipeline(chunk_s)) as server,
            AsyncRenderClient(Endpoint(server.address), OPTIONS, on_result=note) as client,
        ):
            await client.wait_streaming(10)
            for index, image in enumerate(images(count, seed=7)):
                client.submit(CoarseFrame(index, monotonic_us(), image))
                await asyncio.sleep(1 / 60)
        assert [one.frame_id for one in story.outcomes] == list(range(count))
        assert len(took) > 6 * LATER
        # The small renderer itself takes some milliseconds a chunk, more on a busy machine.
        assert np.percentile(took, 95) < 2 * (chunk_s + 0.05) + 0.1

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
    with RenderClient(Endpoint(address), OPTIONS) as client:
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
                await client.wait_streaming(10)
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
                    await client.wait_streaming(10)
                assert client.status.state is State.FAILED
            word = "UNAUTHENTICATED" if fault == "no token" else "TLS fails"
            assert word in str(refused.value)

    run(test())


@pytest.mark.slow
def test_a_server_that_is_killed_and_started_again_is_found(tmp_path: Path) -> None:
    story, patience = Story(), Patience(retry_first_s=0.05, retry_most_s=0.5)
    options = ClientOptions(64, 48, 16.0, prompt="noon", patience=patience)
    with _server_process(0, tmp_path / "one.log") as (process, port):
        client = RenderClient(
            Endpoint(f"127.0.0.1:{port}"),
            options,
            on_result=story.outcomes.append,
            on_status=story.statuses.append,
        )
        client.start()
        next_id = _play(client, story, 0, rendered=20)
        process.kill()
        process.wait(10)
        next_id = _play(client, story, next_id, seconds=1.0)
        assert client.status.state is State.RECONNECTING
    with _server_process(port, tmp_path / "two.log"):
        next_id = _play(client, story, next_id, rendered=len(story.rendered) + 20)
        client.close()
    assert [one.frame_id for one in story.outcomes] == list(range(next_id))
    greetings = [one.text for one in story.statuses if one.state is State.STREAMING]
    assert "began anew" in greetings[-1]
    assert client.statistics.dropped[DropReason.UNSENT] > 0


def _play(
    client: RenderClient,
    story: Story,
    next_id: int,
    *,
    rendered: int | None = None,
    seconds: float = 60.0,
) -> int:
    """Frames at 60 a second for some seconds, or until so many were rendered; the next id."""
    source, end = SyntheticSource(64, 48, 16.0), time.monotonic() + seconds
    while time.monotonic() < end:
        if rendered is not None and len(story.rendered) >= rendered:
            return next_id
        client.submit(CoarseFrame(next_id, monotonic_us(), source.image(next_id)))
        next_id += 1
        time.sleep(1 / 60)
    assert rendered is None, f"{len(story.rendered)} pictures came, {client.status.text}"
    return next_id


@contextmanager
def _server_process(port: int, log: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`c2r serve` in a process of its own, ready."""
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
            process.wait(20)
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
