"""The plugin played on Mono against the real server and a small one: what a player would see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from c2r.wire import CoarseFrame, RenderedFrame
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.options import ClientOptions
from engine_bridge.client.statistics import monotonic_us
from tests.conformance.table import FILE
from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native.native_client import NativeClient
from tests.native.native_rig import play, until
from tests.unity.unity_rig import ROOT, picture_hash, playing, scene

WIDTH, HEIGHT = 256, 144
PROMPT = "noon, people walking"


@contextmanager
def real_server(log: Path, port: int = 0) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """`c2r serve --preset tiny` with one block, which is quick; ready."""
    pytest.importorskip("torch", reason="the real server renders with PyTorch")
    command = [sys.executable, "-m", "c2r", "serve", "--preset", "tiny", "--port", str(port)]
    command += ["--dit.layers", "1", "--random-weights"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            command, stdout=file, stderr=file, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}
        )
    try:
        until(lambda: process.poll() is not None or b"listening on " in log.read_bytes())
        text = log.read_text(encoding="utf-8")
        assert "listening on " in text, text
        yield process, int(text.split("listening on ")[1].split()[0].rpartition(":")[2])
    finally:
        process.kill()
        process.wait(20)


@pytest.mark.slow
def test_pictures_of_the_real_server_are_those_of_any_other_client(tmp_path: Path):
    """And when the server is killed, the coarse frame is there until another one is."""
    with playing() as game:
        with real_server(tmp_path / "log") as (process, port):
            server = f"127.0.0.1:{port}"
            sizes = {"width": WIDTH, "height": HEIGHT}
            words = {"server": server, "prompt": PROMPT, "seed": 5, "fps": 60}
            # A slow renderer is no reason to fall back, here.
            game("start", **words, **sizes, maxDelay=60, late=60)
            game.must("connect", "Streaming")
            # The last three wait for a chunk that is never full.
            for open_at_most in (40, 40, 3):
                status = game.must("stream", 40, open_at_most)
            assert (status["submitted"], status["rendered"]) == (120, 117)
            assert status["dropped"] == status["failed"] == 0
            assert len(status["pictures"]) + status["unseen"] == 117
            compare(status["pictures"], server, 21)
            game("set", late=0.5)
            process.send_signal(signal.SIGKILL)
            process.wait(20)
            broken = game.must("until", "Reconnecting")
            assert server in broken["text"]
            assert game.must("shows", "coarse")["screen"] == "coarse"
            lost = game("status")
            assert lost["rendered"] + lost["dropped"] == lost["submitted"]
        other = MiniServer()
        other.port = port
        with other:
            again = game.must("until", "Streaming")
            assert "the stream was reset" in again["text"]
            game("play", 30)
            assert game.must("shows", "picture")["screen"] == "picture"


def compare(shown: dict[str, str], server: str, count: int) -> None:
    """The first pictures on the game's screen against those that Python gets, bit for bit."""
    options = ClientOptions(WIDTH, HEIGHT, 60.0, prompt=PROMPT, seed=5)
    frames = (
        CoarseFrame(index, monotonic_us(), scene(index, WIDTH, HEIGHT)) for index in range(count)
    )
    with NativeClient(Endpoint(server), options) as client:
        client.wait_streaming()
        outcomes = play(client, frames)
        client.close()
        outcomes += client.results()
    pictures = [one for one in outcomes if isinstance(one, RenderedFrame)]
    expected = {str(one.frame_id): picture_hash(one.rgb) for one in pictures}
    both = shown.keys() & expected.keys()
    assert both
    assert {frame: shown[frame] for frame in both} == {frame: expected[frame] for frame in both}


def test_frames_arrive_upright_in_srgb_with_depth_motion_and_camera():
    with MiniServer() as server, playing() as game:
        game("geometry")
        game("start", server=server.address, width=64, height=32, fps=60, channels=7)
        game.must("connect", "Streaming")
        game.must("stream", 13)
        game.must("shows", "picture")
        status = game("status")
        assert status["rendered"] == status["submitted"] == 13
        game("reset", "Cut")
        game.must("stream", 4)
    seen = server.seen.frames
    for index, one in enumerate(seen):
        assert np.array_equal(one.rgb, scene(index, 64, 32))
        hidden = str(one.frame_id)
        if hidden in status["pictures"]:
            assert status["pictures"][hidden] == picture_hash(255 - one.rgb)
    resets = [None if one.reset is None else one.reset.value for one in seen]
    assert resets[0] == "level_load"
    assert resets[13] == "cut"
    assert [one for one in resets if one] == ["level_load", "cut"]
    depth, motion, camera = seen[5].depth, seen[5].motion, seen[5].camera
    assert depth is not None
    assert motion is not None
    assert camera is not None
    stored = 1 - np.arange(63, dtype=np.float32) / 63
    metres = 250 * 0.3 / (0.3 + stored * (250 - 0.3))
    assert depth[:, :63] == pytest.approx(np.tile(metres, (32, 1)), rel=1e-3)
    assert np.isinf(depth[:, 63]).all()
    # Unity's motion is that of its own last frame; the wire's, of the time between two captures.
    frames = seen[5].frame_delta_ms * 60 / 1000
    assert frames == pytest.approx(round(frames))
    assert frames > 0.5
    assert (motion == round(frames) * np.array([-64 / 32, 32 / 16])).all()
    assert np.isnan(np.asarray(seen[13].motion)).all()
    assert camera.forward.tolist() == [0, 0, 1]
    assert camera.view_to_clip[2, 3] == 1


def test_readings_that_fail_cost_only_their_frames():
    with MiniServer() as server, playing() as game:
        game("start", server=server.address, width=64, height=32, fps=60)
        game.must("connect", "Streaming")
        game("faults", 3)
        status = game.must("stream", 9)
    assert status["rendered"] == status["submitted"]
    assert len(server.seen.frames) >= 9


def test_pictures_come_back_soon_after_slow_times():
    """The long delay of slow times must not hold back more pictures than there is room for."""
    with MiniServer(Script(delay_s=1.5)) as server, playing() as game:
        game("start", server=server.address, width=64, height=32, fps=60, maxDelay=30)
        game.must("shows", "picture")
        server.script.delay_s = 0.0
        game.must("shows", "coarse")
        game.must("shows", "picture")


def test_prompt_strength_and_seed_change_without_a_new_session():
    with MiniServer() as server, playing() as game:
        game("start", server=server.address, width=64, height=32, fps=60)
        game.must("connect", "Streaming")
        game("set", prompt="rain", strength=0.5, seed=9)
        game.must("stream", 5)
        until(lambda: server.seen.controls)
        game("set", width=96)
        game("play", 1)
        game.must("connect", "Streaming")
        game.must("stream", 5, 3)
    change = server.seen.controls[0]
    assert (change.prompt, change.strength, change.seed) == ("rain", 0.5, 9)
    assert [one.width for one in server.seen.opens] == [64, 96]
    assert server.seen.frames[-1].size == (96, 32)


def test_scenes_components_and_play_mode_come_and_go():
    with MiniServer() as server, playing() as game:
        before = game("resources")
        game("start", server=server.address, width=64, height=32, fps=60)
        game.must("connect", "Streaming")
        game.must("stream", 5)
        game("scene", 1)
        game.must("stream", 4)
        assert [one.reset for one in server.seen.frames[1:]].count(None) == 7
        assert server.seen.frames[5].reset is not None
        stopped = game("disable")
        assert (stopped["state"], stopped["shows"]) == ("Off", "coarse")
        assert stopped["submitted"] == 9
        game("play", 5)
        game("enable")
        game.must("connect", "Streaming")
        game.must("stream", 5)
        game("scene", 0)
        after = game("resources")
    assert after["held"] == before["held"] == 0
    assert after["threads"] <= before["threads"] + 2
    assert after["handles"] <= before["handles"] + 2


def test_50_domain_reloads_leave_no_thread_and_no_handle():
    """Every fifth without OnDisable: the handle's finaliser has to end the client then."""
    with MiniServer(Script(chunk_latents=1)) as server, playing() as game:
        first = game("reload", server.address, 5, 5)
        last = game("reload", server.address, 50, 5)
    assert (first["streamed"], last["streamed"]) == (5, 50)
    assert last["threads"] <= first["threads"] + 1
    assert last["handles"] <= first["handles"] + 1


def test_what_a_frame_costs_the_games_thread(record_property: Callable[[str, object], None]):
    """Recorded, without a limit: the machine may be busy."""
    limits = replace(Script().limits, max_width=1024, max_height=1024)
    with MiniServer(Script(limits=limits, chunk_latents=3)) as server, playing() as game:
        cost = game("cost", server.address, 832, 480, 120)
    assert cost["frames"] == 90
    assert 0 < cost["p50_ms"] <= cost["p99_ms"] <= cost["max_ms"]
    record_property("cost", cost)


def test_pictures_are_kept_in_memory_that_is_used_again():
    """New memory is what would cost the game's thread most."""
    with playing() as game:
        assert 1 < game("buffers")["buffers"] <= 5


def test_the_conformance_table_through_the_c_sharp_conversions():
    with playing() as game:
        report = game("conform", FILE)
    assert report["failures"] == []
    assert report["checks"] > 400


def test_the_library_is_the_one_that_the_code_was_written_for():
    with playing() as game:
        assert game("resources")["library"].startswith("c2r_client")
