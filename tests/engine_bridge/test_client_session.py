"""The client against a well-behaved server: controls, feedback, codecs, statistics."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from c2r.wire import CoarseFrame, RenderedFrame, WireError
from c2r.wire.events import ControlAck
from c2r.wire.formats import Codec, CodecLists, SideChannel
from engine_bridge.client import (
    Endpoint,
    monotonic_us,
    server_info,
)
from tests.engine_bridge.client_rig import (
    HANG_S,
    HEIGHT,
    WIDTH,
    client_of,
    frame,
    frames,
    kind,
    kinds,
    read,
    send_paced,
    until,
)
from tests.engine_bridge.mini_server import LIMITS, MiniServer, Script


def test_controls_arrive_and_are_acknowledged(server: MiniServer) -> None:
    acks: list[ControlAck] = []
    with client_of(server, {"on_ack": acks.append}) as client:
        client.wait_streaming()
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


def test_the_server_gets_feedback_on_what_is_shown(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming()
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


def test_only_granted_side_channels_travel(server: MiniServer) -> None:
    depth = np.full((HEIGHT, WIDTH), 2.5, np.float32)
    motion = np.zeros((HEIGHT, WIDTH, 2), np.float16)
    with client_of(server, side_channels=(SideChannel.DEPTH,)) as client:
        client.wait_streaming()
        rgb = frame(0).rgb
        client.submit(CoarseFrame(0, monotonic_us(), rgb, depth=depth, motion=motion))
        read(client, 1)
    (seen,) = server.seen.frames
    assert seen.depth is not None
    assert (seen.depth == 2.5).all()
    assert seen.motion is None


@pytest.mark.parametrize("codec", [Codec.ZSTD, Codec.JPEG, Codec.H264])
def test_every_codec_carries_frames(server: MiniServer, codec: Codec) -> None:
    lists = CodecLists(coarse=(codec,), picture=(codec,))
    with client_of(server, codecs=lists) as client:
        assert client.wait_streaming().codecs.picture is codec
        outcomes = send_paced(client, frames(17))
        outcomes += read(client, 17 - len(outcomes))
    assert kinds(outcomes) == {"rendered": 17}
    for outcome in outcomes:
        assert isinstance(outcome, RenderedFrame)
        assert abs(float(outcome.rgb.mean()) - (255 - outcome.frame_id)) < 3


def test_a_reply_that_cannot_be_decoded_is_a_failed_frame(server: MiniServer) -> None:
    server.script.spoil = frozenset({3})
    with client_of(server) as client:
        client.wait_streaming()
        for one in frames(5):
            client.submit(one)
        outcomes = read(client, 5)
    assert [kind(one) for one in outcomes] == ["rendered"] * 3 + ["failed", "rendered"]


def test_after_a_broken_h264_frame_an_idr_frame_is_asked_for(server: MiniServer) -> None:
    server.script.spoil = frozenset({3})
    lists = CodecLists(coarse=(Codec.RAW,), picture=(Codec.H264,))
    with client_of(server, codecs=lists) as client:
        client.wait_streaming()
        for one in frames(5):
            client.submit(one)
        outcomes = read(client, 5)
        until(lambda: any(f.keyframe_wanted for f in server.seen.feedbacks))
    assert [kind(one) for one in outcomes] == ["rendered"] * 3 + ["failed", "failed"]


def test_a_frame_beyond_the_message_limit_fails_here() -> None:
    script = Script(limits=replace(LIMITS, max_message_bytes=1000))
    with MiniServer(script) as server, client_of(server) as client:
        client.wait_streaming()
        client.submit(frame(0))
        (outcome,) = read(client, 1)
    assert kind(outcome) == "failed"
    assert client.statistics.counts.sent == 0


def test_statistics_add_up(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming()
        outcomes = send_paced(client, frames(33))
        outcomes += read(client, 33 - len(outcomes))
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


def test_server_info_answers_or_says_why_not(server: MiniServer) -> None:
    info = server_info(server.address, timeout_s=HANG_S)
    assert (info.preset, info.width, info.ready) == ("mini", 64, True)
    server.script.token = "secret"
    with pytest.raises(ConnectionError, match="token"):
        server_info(Endpoint(server.address, token="wrong"), timeout_s=HANG_S)
    assert server_info(Endpoint(server.address, token="secret"), timeout_s=HANG_S).ready
    server.stop()
    with pytest.raises(ConnectionError, match="no answer"):
        server_info(server.address, timeout_s=HANG_S)
