"""The native client with the miniature server: what `RenderClient` promises, it keeps too."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from c2r.wire import Camera, CoarseFrame, RenderedFrame, ResetReason
from c2r.wire.enum_map import number_of
from c2r.wire.events import ControlAck
from c2r.wire.formats import Codec, CodecLists
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.status import State
from tests.engine_bridge.client_rig import (
    HEIGHT,
    WIDTH,
    assert_each_once,
    frame,
    frames,
    kinds,
    options,
)
from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native.native_client import NativeClient
from tests.native.native_rig import native, play, until, until_state

NOWHERE = "127.0.0.1:1"
"""Nothing listens there."""


def test_every_frame_comes_back_as_its_picture():
    with MiniServer(Script(chunk_latents=2)) as server, native(server.address) as client:
        granted = client.wait_streaming()
        assert (granted.width, granted.chunk_frames) == (WIDTH, 8)
        outcomes = play(client, frames(45))
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
    with MiniServer() as server, native(server.address, codecs=lists) as client:
        assert client.wait_streaming().picture_codec == number_of(codec)
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
    with MiniServer() as server, native(server.address) as client:
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


def test_the_newest_frame_wins_and_takes_over_the_reset_of_a_dropped_one():
    """A silent server with a window of four frames: one more waits, and newer ones replace it."""
    script = Script(in_flight_chunks=1, mute=True)
    with MiniServer(script) as server, native(server.address) as client:
        client.wait_streaming()
        for one in frames(4):
            client.submit(one)
        until(lambda: len(server.seen.frames) == 4)
        for index in range(4, 60):
            client.submit(frame(index, ResetReason.CUT if index == 7 else None))
        script.mute = False
        client.close()
        outcomes = list(client.results())
    assert_each_once(outcomes, range(60))
    assert kinds(outcomes) == {"rendered": 5, "unsent": 55}
    assert isinstance(outcomes[-1], RenderedFrame)
    assert sum(client.statistics.dropped) == 55
    resets = [one.frame_id for one in server.seen.frames if one.reset is ResetReason.CUT]
    assert resets == [59]


def test_controls_are_acknowledged_and_kept():
    with MiniServer() as server, native(server.address) as client:
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
    client = native(NOWHERE)
    client.start()
    ids = [client.set_control(strength=0.1) for _ in range(70)]
    client.request_close(timeout_s=0.0)
    until(lambda: client.status.final)
    acks = [one for one in client.events() if isinstance(one, ControlAck)]
    client.close()
    assert sorted(ack.control_id for ack in acks) == ids
    assert all(ack.refused is not None for ack in acks)


def test_queued_until_there_is_room():
    with MiniServer(Script(queue=(2, 1))) as server, native(server.address) as client:
        assert "place 2" in until_state(client, State.QUEUED)
        client.wait_streaming()


def test_feedback_tells_what_was_shown():
    with MiniServer() as server, native(server.address) as client:
        client.wait_streaming()
        client.submit(frame(0))
        reply = next(client.results())
        assert isinstance(reply, RenderedFrame)
        client.report_shown(reply, buffer_ms=12.0)
        until(lambda: any(one.displayed_frame_id == 0 for one in server.seen.feedbacks))
    last = server.seen.feedbacks[-1]
    assert last.jitter_buffer_ms == 12.0
    assert last.latency_ms > 0


def test_bad_values_are_refused_with_a_text():
    client = native(NOWHERE)
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
    client.request_close(timeout_s=0)
    with pytest.raises(RuntimeError, match="closed"):
        client.submit(frame(7))
    client.close()


def test_a_client_leaves_no_thread_and_no_handle():
    def left() -> tuple[int, int]:
        handles, threads = Path("/proc/self/fd"), Path("/proc/self/task")
        return len(list(handles.iterdir())), len(list(threads.iterdir()))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts handles in /proc")
    with MiniServer() as server:
        with native(server.address) as client:
            client.wait_streaming()
        before = left()
        for _ in range(20):
            client = native(server.address)
            client.start()
            client.wait_streaming()
            client.submit(frame(0))
            client.close(discard=True, timeout_s=0.0)
        until(lambda: left()[0] <= before[0] + 1 and left()[1] <= before[1] + 1)


def test_frames_from_one_thread_and_controls_from_another():
    with MiniServer() as server, native(server.address) as client:
        client.wait_streaming()
        changes = threading.Thread(
            target=lambda: [client.set_control(strength=0.01 * i) for i in range(60)]
        )
        changes.start()
        outcomes = play(client, frames(60))
        changes.join()
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(60))


@pytest.mark.parametrize("address", ["localhost:123743", "localhost:65536", "localhost:0"])
def test_a_port_out_of_range_is_said_and_not_wrapped(address: str):
    endpoint = Endpoint(NOWHERE)
    object.__setattr__(endpoint, "address", address)  # past Python's check, which is another one
    with pytest.raises(ValueError, match="ports are 1 to 65535"):
        NativeClient(endpoint, options())
