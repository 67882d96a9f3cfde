"""The client against a well-behaved server: frames, pictures, controls, feedback, statistics."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest

from c2r.wire import CoarseFrame, FrameReply, RenderedFrame, WireError
from c2r.wire.events import ControlAck
from c2r.wire.formats import Codec, CodecLists, SideChannel
from engine_bridge.client.async_client import AsyncRenderClient
from engine_bridge.client.channel import server_info
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.render_client import RenderClient
from engine_bridge.client.statistics import monotonic_us
from engine_bridge.client.status import State, Status
from tests.engine_bridge.client_rig import (
    HEIGHT,
    WIDTH,
    assert_each_once,
    client_of,
    frame,
    frames,
    kind,
    kinds,
    options,
    read,
    send_paced,
    until,
)
from tests.engine_bridge.mini_server import LIMITS, MiniServer, Script


@pytest.fixture
def server():
    with MiniServer() as running:
        yield running


def test_every_frame_comes_back_as_its_own_picture(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming(5)
        got = send_paced(client, frames(41))
        got += read(client, 41 - len(got))
    assert_each_once(got, range(41))
    for outcome in got:
        assert isinstance(outcome, RenderedFrame)
        assert (outcome.rgb == 255 - outcome.frame_id).all()
    assert client.status.state is State.CLOSED


def test_outcomes_go_to_a_callback_in_order(server: MiniServer) -> None:
    got: list[FrameReply] = []
    with client_of(server, {"on_result": got.append}) as client:
        client.wait_streaming(5)
        for one in frames(60):
            client.submit(one)
            time.sleep(0.001)
        with pytest.raises(RuntimeError, match="on_result"):
            client.poll()
    assert_each_once(got, range(60))


def test_results_wait_for_each_outcome_and_end_with_the_client(server: MiniServer) -> None:
    client = client_of(server)
    with client:
        client.wait_streaming(5)
        for one in frames(5):
            client.submit(one)
        first = [next(client.results()) for _ in range(3)]
        for one in frames(3, first=5):
            client.submit(one)
    rest = list(client.results())
    assert_each_once(first + rest, range(8))


def test_the_asyncio_form_streams_with_its_own_iterator(server: MiniServer) -> None:
    async def play() -> list[FrameReply]:
        got: list[FrameReply] = []
        async with AsyncRenderClient(Endpoint(server.address), options()) as client:
            await client.wait_streaming(5)

            async def collect() -> None:
                got.extend([outcome async for outcome in client.results()])

            reader = asyncio.create_task(collect())
            for one in frames(30):
                while not client.has_room:
                    await asyncio.sleep(0.002)
                client.submit(one)
            await client.close()
            await asyncio.wait_for(reader, 5)
        return got

    got = asyncio.run(play())
    assert_each_once(got, range(30))
    assert kinds(got) == {"rendered": 30}


def test_closing_politely_renders_what_was_handed_over(server: MiniServer) -> None:
    server.script.delay_s = 0.02
    with client_of(server) as client:
        client.wait_streaming(5)
        for one in frames(7):
            client.submit(one)
    assert kinds(client.results()) == {"rendered": 7}
    assert [end.discard_pending for end in server.seen.ends] == [False]


def test_closing_with_discard_drops_what_was_handed_over(server: MiniServer) -> None:
    server.script.chunk_latents = 3
    client = client_of(server)
    client.start()
    client.wait_streaming(5)
    for one in frames(5):
        client.submit(one)
    until(lambda: len(server.seen.frames) == 5)
    client.close(discard=True)
    assert kinds(client.results()) == {"ended": 5}
    assert [end.discard_pending for end in server.seen.ends] == [True]


def test_newest_wins_and_latency_stays_bounded_before_a_slow_server() -> None:
    """Sixty frames a second into a renderer of forty, in chunks of four."""
    chunk_s = 0.1
    took: list[float] = []

    def note(outcome: FrameReply) -> None:
        got.append(outcome)
        if isinstance(outcome, RenderedFrame):
            took.append((monotonic_us() - outcome.capture_time_us) / 1e6)

    got: list[FrameReply] = []
    with (
        MiniServer(Script(delay_s=chunk_s)) as server,
        client_of(server, {"on_result": note}) as client,
    ):
        granted = client.wait_streaming(5)
        for one in frames(120):
            client.submit(CoarseFrame(one.frame_id, monotonic_us(), one.rgb))
            time.sleep(1 / 60)
    assert_each_once(got, range(120))
    numbers = kinds(got)
    assert numbers["unsent"] > 10
    assert numbers["rendered"] > 40
    window = granted.max_in_flight_chunks * granted.chunk_frames
    assert server.seen.most_unanswered <= window
    # Those in flight take two chunks, one more waits in front of them.
    assert np.percentile(took, 95) < 3 * chunk_s + 0.25
    first, last = took[5 : len(took) // 2], took[len(took) // 2 :]
    assert np.mean(last) < np.mean(first) + chunk_s, "latency does not grow"


def test_the_window_follows_the_server(server: MiniServer) -> None:
    server.script.window = 3
    server.script.chunk_latents = 3
    with client_of(server) as client:
        client.wait_streaming(5)
        time.sleep(0.05)
        for one in frames(20):
            client.submit(one)
            time.sleep(0.002)
        until(lambda: len(server.seen.frames) == 3)
        time.sleep(0.05)
        assert len(server.seen.frames) == 3
        client.close(discard=True)
    assert kinds(client.results()) == {"ended": 3, "unsent": 17}


def test_controls_arrive_and_are_acknowledged(server: MiniServer) -> None:
    acks: list[ControlAck] = []
    with client_of(server, {"on_ack": acks.append}) as client:
        client.wait_streaming(5)
        ids = [
            client.set_control(prompt="night", blend_chunks=2),
            client.set_control(strength=0.25),
            client.set_control(seed=99),
        ]
        until(lambda: len(acks) == 3)
        with pytest.raises(WireError, match="strength"):
            client.set_control(strength=-1)
    assert [ack.control_id for ack in acks] == ids
    assert all(ack.refused is None for ack in acks)
    first, second, third = server.seen.controls
    assert (first.prompt, first.blend_chunks, first.strength) == ("night", 2, None)
    assert (second.strength, third.seed) == (0.25, 99)


def test_controls_set_before_the_session_are_sent_with_it(server: MiniServer) -> None:
    acks: list[ControlAck] = []
    client = client_of(server, {"on_ack": acks.append})
    early = client.set_control(prompt="dawn")
    with client:
        until(lambda: acks)
    assert [change.prompt for change in server.seen.controls] == ["dawn"]
    assert [ack.control_id for ack in acks] == [early]
    with pytest.raises(RuntimeError, match="closed"):
        client.set_control(prompt="dusk")


def test_the_server_hears_how_pictures_arrive(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming(5)
        for one in frames(5):
            client.submit(one)
        (shown,) = (one for one in read(client, 5) if one.frame_id == 3)
        assert isinstance(shown, RenderedFrame)
        client.report_shown(shown, buffer_ms=40.0)
        until(lambda: any(f.displayed_frame_id == 3 for f in server.seen.feedbacks))
    last = server.seen.feedbacks[-1]
    assert last.jitter_buffer_ms == pytest.approx(40.0)
    assert last.latency_ms > 0
    assert last.decode_ms > 0


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.JPEG, Codec.H264])
def test_every_codec_carries_frames(server: MiniServer, codec: Codec) -> None:
    lists = CodecLists(coarse=(codec,), picture=(codec,))
    with client_of(server, codecs=lists) as client:
        assert client.wait_streaming(5).codecs.picture is codec
        got = send_paced(client, frames(17))
        got += read(client, 17 - len(got))
    assert kinds(got) == {"rendered": 17}
    for outcome in got:
        assert isinstance(outcome, RenderedFrame)
        assert abs(float(outcome.rgb.mean()) - (255 - outcome.frame_id)) < 3


def test_a_picture_that_cannot_be_read_is_a_failed_frame(server: MiniServer) -> None:
    server.script.spoil = frozenset({3})
    with client_of(server) as client:
        client.wait_streaming(5)
        for one in frames(5):
            client.submit(one)
        got = read(client, 5)
    assert [kind(one) for one in got] == ["rendered"] * 3 + ["failed", "rendered"]


def test_a_spoilt_h264_picture_is_mended_by_an_idr(server: MiniServer) -> None:
    server.script.spoil = frozenset({3})
    lists = CodecLists(coarse=(Codec.RAW,), picture=(Codec.H264,))
    with client_of(server, codecs=lists) as client:
        client.wait_streaming(5)
        for one in frames(5):
            client.submit(one)
        got = read(client, 5)
        until(lambda: any(f.keyframe_wanted for f in server.seen.feedbacks))
    assert [kind(one) for one in got] == ["rendered"] * 3 + ["failed", "failed"]


def test_only_granted_side_channels_travel(server: MiniServer) -> None:
    depth = np.full((HEIGHT, WIDTH), 2.5, np.float32)
    motion = np.zeros((HEIGHT, WIDTH, 2), np.float16)
    with client_of(server, side_channels=(SideChannel.DEPTH,)) as client:
        client.wait_streaming(5)
        rgb = frame(0).rgb
        client.submit(CoarseFrame(0, monotonic_us(), rgb, depth=depth, motion=motion))
        read(client, 1)
    (seen,) = server.seen.frames
    assert seen.depth is not None
    assert (seen.depth == 2.5).all()
    assert seen.motion is None


def test_wrong_frames_are_refused_where_they_are_made(server: MiniServer) -> None:
    with client_of(server) as client:
        with pytest.raises(ValueError, match="64x32"):
            client.submit(CoarseFrame(0, 0, np.zeros((8, 8, 3), np.uint8)))
        client.submit(frame(5))
        with pytest.raises(ValueError, match="ids must go up"):
            client.submit(frame(5))
    with pytest.raises(RuntimeError, match="closed"):
        client.submit(frame(6))
    with pytest.raises(RuntimeError, match="not started"):
        client_of(server).submit(frame(0))


def test_a_frame_beyond_the_message_limit_fails_here() -> None:
    script = Script(limits=replace(LIMITS, max_message_bytes=1000))
    with MiniServer(script) as server, client_of(server) as client:
        client.wait_streaming(5)
        client.submit(frame(0))
        (outcome,) = read(client, 1)
    assert kind(outcome) == "failed"
    assert client.statistics.counts.sent == 0


def test_a_callback_that_raises_changes_nothing_else(server: MiniServer) -> None:
    got: list[FrameReply] = []

    def fragile(outcome: FrameReply) -> None:
        got.append(outcome)
        raise KeyError("a bug in the game")

    def broken(_: Status) -> None:
        raise ZeroDivisionError

    with client_of(server, {"on_result": fragile, "on_status": broken}) as client:
        client.wait_streaming(5)
        for one in frames(9):
            client.submit(one)
            time.sleep(0.002)
    assert_each_once(got, range(9))
    assert client.statistics.callback_errors >= 9 + 2
    assert client.status.state is State.CLOSED


def test_statistics_add_up(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming(5)
        got = send_paced(client, frames(33))
        got += read(client, 33 - len(got))
        live = client.statistics
    assert live.fps_in > 0
    assert live.fps_out > 0
    assert live.fps_steady > 0
    assert 0 < live.latency_ms.p50 <= live.latency_ms.p90 <= live.latency_ms.p99
    assert live.first_picture_ms is not None
    assert live.first_picture_ms > 0
    size = WIDTH * HEIGHT * 3
    assert 33 * size < live.bytes_sent < 33 * size * 1.2
    assert 33 * size < live.bytes_received < 33 * size * 1.2
    assert (live.counts.submitted, live.counts.sent, live.counts.rendered) == (33, 33, 33)
    assert live.connections == 1


def test_submitting_never_waits_for_the_network(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming(5)
        server.script.mute = True
        sent = list(frames(1000))
        for one in sent:
            client.submit(one)
        assert client.statistics.counts.rendered == 0, "the server answers none of them"
        client.close(discard=True, timeout_s=0.2)
    assert_each_once(client.results(), range(1000))


def test_server_info_answers_or_says_why_not(server: MiniServer) -> None:
    info = server_info(Endpoint(server.address), timeout_s=5)
    assert (info.preset, info.width, info.ready) == ("mini", 64, True)
    server.script.token = "secret"
    with pytest.raises(ConnectionError, match="token"):
        server_info(Endpoint(server.address, token="wrong"), timeout_s=5)
    assert server_info(Endpoint(server.address, token="secret"), timeout_s=5).ready
    server.stop()
    with pytest.raises(ConnectionError, match="no answer"):
        server_info(Endpoint(server.address), timeout_s=5)


def test_a_client_may_not_be_started_twice(server: MiniServer) -> None:
    client: RenderClient = client_of(server)
    with client, pytest.raises(RuntimeError, match="started before"):
        client.start()
    with pytest.raises(RuntimeError, match="started before"):
        client.start()
