"""The native client against the miniature server: what `RenderClient` promises, it keeps too."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from c2r.wire import Camera, CoarseFrame, DropReason, ErrorCode, RenderedFrame, ResetReason
from c2r.wire.events import ControlAck, Ended, EndReason, SessionWarning, WarningCode
from c2r.wire.formats import Codec, CodecLists
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.status import State
from tests.engine_bridge.client_rig import (
    HEIGHT,
    PATIENCE,
    WIDTH,
    assert_each_once,
    frame,
    frames,
    kinds,
    options,
    until,
)
from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native.native_client import NativeClient
from tests.native.native_rig import has_room


def native(server: MiniServer, token: str | None = None, **changes: Any) -> NativeClient:
    return NativeClient(Endpoint(server.address, token=token), options(**changes))


def play(client: NativeClient, count: int, first: int = 0) -> list[Any]:
    """Frames as fast as none is dropped; the outcomes so far."""
    outcomes: list[Any] = []
    for one in frames(count, first):
        until(has_room(client, outcomes))
        client.submit(one)
    return outcomes


def until_state(client: NativeClient, state: State, timeout_s: float = 8.0) -> str:
    until(lambda: client.status.state is state, timeout_s)
    return client.status.text


def test_every_frame_comes_back_as_its_picture():
    with MiniServer(Script(chunk_latents=2)) as server, native(server) as client:
        granted = client.wait_streaming()
        assert (granted.width, granted.chunk_frames) == (WIDTH, 8)
        outcomes = play(client, 45)
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(45))
    assert kinds(outcomes) == {"rendered": 45}
    assert all((one.rgb == 255 - frame(one.frame_id).rgb).all() for one in outcomes)
    assert server.seen.opens[0].client.startswith("c2r_client")
    assert server.seen.most_unanswered <= 16


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.LZ4, Codec.JPEG])
def test_every_codec_carries_frames_and_pictures(codec: Codec):
    lists = CodecLists(coarse=(codec,), picture=(codec,))
    rng = np.random.default_rng(5)
    flat = rng.integers(0, 256, (4, 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    one = CoarseFrame(0, 1, np.ascontiguousarray(flat))
    with MiniServer() as server, native(server, codecs=lists) as client:
        assert client.wait_streaming().picture is codec
        client.submit(one)
        client.close()
        (reply,) = client.results()
    assert isinstance(reply, RenderedFrame)
    seen = server.seen.frames[0]
    if codec.lossless:
        assert (seen.rgb == one.rgb).all()
        assert (reply.rgb == 255 - one.rgb).all()
    else:
        # 4:4:4 at quality 95 keeps flat blocks; the picture comes back in 4:2:0 at 90.
        assert np.abs(seen.rgb.astype(int) - one.rgb).mean() < 2
        assert np.abs(reply.rgb.astype(int) - (255 - one.rgb)).mean() < 16


def camera() -> Camera:
    """An example: 90 degrees high, looking along z."""
    view_to_clip = np.zeros((4, 4))
    view_to_clip[0, 0], view_to_clip[1, 1] = 0.5, 1.0
    view_to_clip[2, 2], view_to_clip[2, 3], view_to_clip[3, 2] = 1.0, 1.0, -0.1
    x, y, z = np.eye(3)
    return Camera(np.array([1.0, 2, 3]), x, y, z, np.pi / 2, view_to_clip, np.eye(4))


def test_side_channels_arrive_as_they_were():
    rng = np.random.default_rng(3)
    depth = rng.uniform(0, 50, (HEIGHT // 2, WIDTH // 2)).astype(np.float32)
    depth[0, 0] = np.inf
    motion = rng.normal(0, 3, (HEIGHT, WIDTH, 2)).astype(np.float16)
    motion[1, 1] = np.nan
    one = replace(
        frame(0, ResetReason.TELEPORT),
        depth=depth,
        motion=motion,
        camera=camera(),
        jitter=(0.25, -0.5),
        pre_exposure=2.5,
        frame_delta_ms=16.6,
    )
    with MiniServer() as server, native(server) as client:
        client.wait_streaming()
        client.submit(one)
        client.close()
        assert kinds(client.results()) == {"rendered": 1}
    seen: Any = server.seen.frames[0]
    assert (seen.depth == depth).all()
    assert np.array_equal(seen.motion, motion, equal_nan=True)
    assert (seen.camera.view_to_clip == camera().view_to_clip).all()
    assert (seen.jitter, seen.pre_exposure, seen.frame_delta_ms) == ((0.25, -0.5), 2.5, 16.6)
    assert seen.reset is ResetReason.TELEPORT


def test_newest_frames_win_when_the_server_is_slow():
    with MiniServer(Script(delay_s=0.2, in_flight_chunks=1)) as server, native(server) as client:
        client.wait_streaming()
        for one in frames(60):
            client.submit(one)
            time.sleep(0.005)
        client.close()
        outcomes = list(client.results())
    assert_each_once(outcomes, range(60))
    found = kinds(outcomes)
    assert found["unsent"] > 30
    assert found["rendered"] + found["unsent"] == 60
    assert isinstance(outcomes[-1], RenderedFrame)
    assert client.statistics.counts.dropped == {DropReason.UNSENT: found["unsent"]}


def test_a_broken_stream_is_resumed_and_its_frames_are_lost():
    with MiniServer(Script(break_after=8)) as server, native(server) as client:
        client.wait_streaming()
        outcomes = play(client, 6)
        outcomes += play(client, 30, first=6)
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(36))
    assert set(kinds(outcomes)) <= {"rendered", "lost"}
    assert server.seen.opens[1].resume_token == b"token 1"
    assert client.statistics.connections == 2


def test_a_reset_that_was_lost_moves_on():
    with MiniServer(Script(delay_s=0.3, in_flight_chunks=1)) as server, native(server) as client:
        client.wait_streaming()
        for index in range(12):
            client.submit(frame(index, ResetReason.CUT if index == 7 else None))
        client.close()
        outcomes = list(client.results())
    assert kinds(outcomes)["unsent"] > 0
    resets = [one.frame_id for one in server.seen.frames if one.reset is ResetReason.CUT]
    assert len(resets) == 1
    assert resets[0] >= 7


def test_a_server_that_dies_and_comes_back():
    with MiniServer() as server, native(server) as client:
        client.wait_streaming()
        outcomes = play(client, 10)
        server.stop()
        text = until_state(client, State.RECONNECTING)
        assert server.address in text
        for one in frames(10, 10):
            client.submit(one)
        server.start()
        until_state(client, State.STREAMING)
        assert "connected again" in client.status.text
        outcomes += play(client, 10, first=20)
        warnings = [one for one in client.events() if isinstance(one, SessionWarning)]
        client.close()
        outcomes += client.results()
    assert [one.code for one in warnings] == [WarningCode.RESTARTED]
    assert_each_once(outcomes, range(30))


def test_a_wrong_token_is_refused_for_good():
    with MiniServer(Script(token="right")) as server:
        with native(server, token="wrong") as client:
            text = until_state(client, State.FAILED)
            assert "UNAUTHENTICATED" in text
            assert "token" in text
            client.submit(frame(0))
            assert kinds(client.poll()) == {"unsent": 1}
        with native(server, token="right") as client:
            client.wait_streaming()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (Script(protocol_major=2), "protocol 2.0"),
        (Script(refuse=(grpc.StatusCode.FAILED_PRECONDITION, "100 % früh\n")), "100 % früh"),
    ],
)
def test_refusals_say_why(script: Script, said: str):
    with MiniServer(script) as server, native(server) as client:
        assert said in until_state(client, State.FAILED)
        with pytest.raises(ConnectionError):
            client.wait_streaming(1)


def test_a_wrong_size_is_refused():
    with MiniServer() as server, native(server, width=72) as client:
        text = until_state(client, State.FAILED)
    assert "width" in text
    assert "multiple of 16" in text


def test_a_silent_server_and_a_stuck_one_are_left():
    with MiniServer() as server:
        patience = replace(PATIENCE, silence_s=0.3)
        with native(server, patience=patience) as client:
            client.wait_streaming()
            server.script.mute = True
            assert "nothing came" in until_state(client, State.RECONNECTING)
    with MiniServer(Script(delay_s=5.0)) as server:
        patience = replace(PATIENCE, stuck_s=0.4)
        with native(server, patience=patience) as client:
            client.wait_streaming()
            for one in frames(12):
                client.submit(one)
            until(lambda: client.status.state is State.RECONNECTING)
            client.close(discard=True, timeout_s=0.1)
            assert len(list(client.results())) == 12


def test_garbage_from_the_server_breaks_only_the_connection():
    with MiniServer(Script(garbage_after=3)) as server, native(server) as client:
        client.wait_streaming()
        outcomes = play(client, 30)
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(30))
    assert client.statistics.connections == 2


def test_a_spoilt_picture_fails_alone():
    with MiniServer(Script(spoil=frozenset({4}))) as server, native(server) as client:
        client.wait_streaming()
        outcomes = play(client, 9)
        client.close()
        outcomes += client.results()
    assert kinds(outcomes) == {"rendered": 8, "failed": 1}
    failed = outcomes[4]
    assert failed.fault.code is ErrorCode.MALFORMED
    assert failed.fault.field.startswith("rendered.picture")


def test_controls_are_acknowledged_and_kept():
    with MiniServer() as server, native(server) as client:
        client.wait_streaming()
        first = client.set_control(prompt="rain", strength=0.5)
        second = client.set_control(seed=9)
        acks: list[Any] = []

        def both() -> bool:
            acks.extend(one for one in client.events() if isinstance(one, ControlAck))
            return len(acks) == 2

        until(both)
        server.stop()
        server.start()
        until(lambda: len(server.seen.opens) == 2)
    assert [ack.control_id for ack in acks] == [first, second]
    assert server.seen.controls[0].prompt == "rain"
    again = server.seen.opens[1]
    assert (again.prompt, again.strength, again.seed) == ("rain", 0.5, 9)


def test_controls_that_never_arrive_are_refused_at_the_end():
    client = NativeClient(Endpoint("127.0.0.1:1"), options())
    client.start()
    ids = [client.set_control(strength=0.1) for _ in range(70)]
    client._library.c2r_close(client._client, 0, 0.0)
    until(lambda: client.status.final)
    acks = [one for one in client.events() if isinstance(one, ControlAck)]
    client.close()
    assert sorted(ack.control_id for ack in acks) == ids
    assert all(ack.refused is not None for ack in acks)


def test_queued_until_there_is_room():
    with MiniServer(Script(queue=(2, 1), queue_s=0.2)) as server, native(server) as client:
        until(lambda: client.status.state is State.QUEUED)
        assert "place" in client.status.text
        client.wait_streaming()


def test_feedback_tells_what_was_shown():
    with MiniServer() as server, native(server) as client:
        client.wait_streaming()
        client.submit(frame(0))
        until(lambda: server.seen.frames)
        reply = next(client.results())
        assert isinstance(reply, RenderedFrame)
        client.report_shown(reply, buffer_ms=12.0)
        until(lambda: any(one.displayed_frame_id == 0 for one in server.seen.feedbacks))
    last = server.seen.feedbacks[-1]
    assert last.jitter_buffer_ms == 12.0
    assert last.latency_ms > 0


def test_an_end_that_cannot_be_resumed_begins_anew():
    ended = Ended(EndReason.IDLE, "too idle", resumable=False)
    with MiniServer(Script(end_after=(2, ended))) as server, native(server) as client:
        client.wait_streaming()
        for one in frames(8):
            client.submit(one)
        until(lambda: len(server.seen.opens) == 2)
        server.script.end_after = None
    assert server.seen.opens[1].resume_token == b""


def test_a_session_that_was_taken_over_is_given_up():
    ended = Ended(EndReason.TAKEN_OVER, "elsewhere", resumable=True)
    with MiniServer(Script(end_after=(1, ended))) as server, native(server) as client:
        client.wait_streaming()
        client.submit(frame(0))
        assert "took this session over" in until_state(client, State.FAILED)


def test_giving_up_says_what_to_do():
    patience = replace(PATIENCE, give_up_s=0.3)
    client = NativeClient(Endpoint("127.0.0.1:1"), options(patience=patience))
    with client:
        assert "c2r serve" in until_state(client, State.FAILED)


def test_bad_values_are_refused_with_a_text():
    client = NativeClient(Endpoint("127.0.0.1:1"), options())
    with pytest.raises(RuntimeError, match="not open"):
        client.submit(frame(0))
    client.start()
    client.submit(frame(5))
    with pytest.raises(ValueError, match="does not go up"):
        client.submit(frame(5))
    with pytest.raises(ValueError, match="resize it"):
        client.submit(CoarseFrame(6, 0, np.zeros((16, 16, 3), np.uint8)))
    with pytest.raises(ValueError, match="strength is 3"):
        client.set_control(strength=3)
    with pytest.raises(ValueError, match="changes nothing"):
        client.set_control()
    client.close(timeout_s=0)
    with pytest.raises(RuntimeError, match="closed"):
        client.submit(frame(7))


def test_a_client_leaves_no_thread_and_no_handle():
    def left() -> tuple[int, int]:
        handles, threads = Path("/proc/self/fd"), Path("/proc/self/task")
        return len(list(handles.iterdir())), len(list(threads.iterdir()))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts handles in /proc")
    with MiniServer() as server:
        with native(server) as client:
            client.wait_streaming()
        time.sleep(0.2)
        before = left()
        for _ in range(20):
            client = native(server)
            client.start()
            client.wait_streaming()
            client.submit(frame(0))
            begun = time.monotonic()
            client.close(discard=True, timeout_s=0.0)
            assert time.monotonic() - begun < 2.0
        until(lambda: left()[0] <= before[0] + 1 and left()[1] <= before[1] + 1)


def test_frames_from_one_thread_and_controls_from_another():
    with MiniServer() as server, native(server) as client:
        client.wait_streaming()
        changes = threading.Thread(
            target=lambda: [client.set_control(strength=0.01 * i) for i in range(60)]
        )
        changes.start()
        outcomes = play(client, 60)
        changes.join()
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(60))
