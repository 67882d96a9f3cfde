"""`c2r play` and what it is made of: whole runs against the miniature server, and its keys."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import av
import pytest

from engine_bridge.cli.play_window import KeySettings
from engine_bridge.client import stream_source
from engine_bridge.sinks.pairs import Pair
from engine_bridge.sources import SyntheticSource
from tests.engine_bridge.client_rig import HEIGHT, WIDTH, client_of
from tests.engine_bridge.mini_server import MiniServer, Script

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")

from engine_bridge.cli.play import PROMPTS, main


def test_without_a_clock_every_frame_is_rendered() -> None:
    pairs: list[Pair] = []
    progress: list[int] = []
    source = SyntheticSource(WIDTH, HEIGHT, 16.0)
    with MiniServer(Script(delay_s=0.01)) as server, client_of(server) as client:
        report = stream_source(
            source,
            client,
            fps=16.0,
            frames=50,
            realtime=False,
            on_pair=pairs.append,
            on_progress=progress.append,
        )
    assert (report.frames_sent, report.frames_rendered, report.frames_dropped) == (50, 50, 0)
    assert [pair.frame_id for pair in pairs] == list(range(50))
    assert all((pair.rendered == 255 - pair.coarse).all() for pair in pairs)
    assert progress == list(range(1, 51))
    numbers = report.as_json()
    assert numbers["fps_steady"] > 0
    assert numbers["ttff_ms"] > 0
    assert set(numbers["latency_ms"]) == {"p50", "p90", "p99"}
    assert {"denoise", "total"} <= set(numbers["stages_ms"])


def test_in_real_time_every_frame_is_accounted_for() -> None:
    source = SyntheticSource(WIDTH, HEIGHT, 100.0)
    with MiniServer(Script(delay_s=0.1)) as server, client_of(server, fps=100.0) as client:
        report = stream_source(source, client, fps=100.0, frames=100)
    assert report.frames_sent == 100 == report.frames_rendered + report.frames_dropped
    assert report.frames_dropped == sum(report.drops.values()) > 0
    assert report.frames_rendered > 10
    assert report.seconds >= 0.99


def test_a_source_that_ends_ends_the_run() -> None:
    source = itertools.islice(SyntheticSource(WIDTH, HEIGHT, 16.0), 5)
    with MiniServer() as server, client_of(server) as client:
        report = stream_source(source, client, fps=16.0, realtime=False)
    assert report.frames_rendered == 5


def test_a_refused_session_ends_the_run_with_its_reason() -> None:
    source = SyntheticSource(WIDTH, HEIGHT, 16.0)
    with (
        MiniServer(Script(token="x")) as server,
        client_of(server) as client,
        pytest.raises(ConnectionError, match="token"),
    ):
        stream_source(source, client, fps=16.0, frames=5)


def test_headless_play_leaves_a_video(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    path = tmp_path / "play.mp4"
    # A window of 32 holds all 16 frames: none is dropped, however slow this machine is.
    with MiniServer(Script(in_flight_chunks=8)) as server:
        arguments = ["--server", server.address, "--headless", "--seconds", "1"]
        assert main([*arguments, "--output", str(path), "--seed", "3"]) == 0
        (opened,) = server.seen.opens
    assert (opened.prompt, opened.seed) == (PROMPTS[0], 3)
    with av.open(str(path)) as container:
        video = list(container.decode(video=0))
    assert (video[0].width, video[0].height) == (128, 32)
    assert len(video) == 16
    said = capsys.readouterr().out
    assert "16 frames, 16 rendered, 0 dropped" in said
    assert "streaming 64x32" in said


def test_a_window_is_played_in_or_missed_by_name(capsys: pytest.CaptureFixture) -> None:
    with MiniServer() as server:
        arguments = ["--server", server.address, "--seconds", "1.5"]
        if not os.environ.get("DISPLAY"):
            with pytest.raises(ValueError, match="--headless"):
                main(arguments)
            return
        assert main(arguments) == 0
        assert any(one.displayed_frame_id for one in server.seen.feedbacks)
    assert "rendered a second" in capsys.readouterr().out


def test_mistakes_of_the_user_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConnectionError, match=r"no answer from 127\.0\.0\.1:1"):
        main(["--server", "127.0.0.1:1", "--headless"])
    with pytest.raises(ValueError, match="no port"):
        main(["--server", "localhost"])
    with pytest.raises(ValueError, match="--seconds"):
        main(["--seconds", "-1"])
    with pytest.raises(ValueError, match="--headless"):
        main(["--output", "x.mp4"])
    with pytest.raises(FileNotFoundError):
        main(["--token-file", str(tmp_path / "absent")])
    with (
        MiniServer(Script(token="right")) as server,
        pytest.raises(ConnectionError, match="token"),
    ):
        main(["--server", server.address, "--headless"])


def test_keys_count_once_when_they_go_down() -> None:
    keys = KeySettings(["noon", "night"], strength=1.0)
    held: set[str] = set()
    down = held.__contains__
    assert keys.poll(down) == {}
    held.add("2")
    assert keys.poll(down) == {"prompt": "night"}
    assert keys.poll(down) == {}
    held.clear()
    keys.poll(down)
    held |= {"1", "=", "3"}
    assert keys.poll(down) == {"prompt": "noon", "strength": 1.1}
    held.clear()
    for _ in range(30):
        keys.poll({"-"}.__contains__)
        last = keys.strength
        keys.poll(down)
    assert last == 0.0
    assert not keys.coarse
    keys.poll({"v"}.__contains__)
    assert keys.coarse
