"""Faults: a state and a text in the component, the coarse frame on the screen, and pictures again
after recovery.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc
import pytest

from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native.slow_link import SlowLink
from tests.unity.unity_rig import UnityGame, playing

SIZE = {"width": 64, "height": 32, "fps": 60}


def streams(game: UnityGame) -> None:
    """Pictures come and are on the screen."""
    game.must("until", "Streaming")
    game("play", 30)
    assert game.must("shows", "picture")["screen"] == "picture"


def failed(game: UnityGame, error: str, said: str) -> dict[str, Any]:
    """The component says so and shows the coarse frame."""
    status = game.must("until", "Failed")
    assert status["error"] == error, status
    assert said in status["text"], status
    assert game.must("shows", "coarse")["screen"] == "coarse"
    return status


def test_a_server_that_is_lost_and_comes_back():
    with MiniServer() as server, playing() as game:
        game("start", server=server.address, **SIZE)
        streams(game)
        server.stop()
        status = game.must("until", "Reconnecting")
        assert f"no connection to {server.address}" in status["text"]
        assert "next try in" in status["text"]
        assert game.must("shows", "coarse")["screen"] == "coarse"
        server.start()
        streams(game)
        assert "the stream was reset" in game("status")["text"]


def test_a_server_that_is_not_there_yet():
    with MiniServer() as server, playing() as game:
        server.stop()
        game("start", server=server.address, **SIZE)
        game("play", 5)
        status = game.must("until", "Reconnecting")
        assert status["error"] == "Unreachable"
        assert status["screen"] == "coarse"
        server.start()
        streams(game)


def test_a_wrong_token(tmp_path: Path):
    right = tmp_path / "token"
    right.write_text("the-right-token\n", encoding="utf-8")
    with MiniServer(Script(token="the-right-token")) as server, playing() as game:
        game("start", server=server.address, token="a-wrong-token", **SIZE)
        failed(game, "Token", "the token is wrong or missing")
        game("set", token="", tokenFile=right)
        streams(game)


def test_a_wrong_version_is_tried_again():
    with MiniServer(Script(protocol_major=9)) as server, playing() as game:
        game("start", server=server.address, retry=0.5, **SIZE)
        failed(game, "Version", "protocol_major")
        server.script.protocol_major = 1
        streams(game)


def test_a_wrong_size():
    with MiniServer() as server, playing() as game:
        game("start", **{**SIZE, "server": server.address, "width": 56})
        failed(game, "Refused", "multiple")
        game("set", width=64)
        streams(game)


def test_a_full_disk_on_the_server():
    full = (grpc.StatusCode.UNAVAILABLE, "disk full: No space left on device")
    with MiniServer() as server, playing() as game:
        game("start", server=server.address, **SIZE)
        streams(game)
        server.stop()
        server.script.refuse = full
        server.start()
        game.must("says", "No space left on device")
        assert game.must("shows", "coarse")["screen"] == "coarse"
        server.script.refuse = None
        streams(game)


def test_a_network_that_stalls():
    with MiniServer() as server, SlowLink(server.address, 0.0) as link, playing() as game:
        game("start", server=link.address, silence=1, **SIZE)
        streams(game)
        link.stall()
        assert game.must("shows", "coarse")["screen"] == "coarse"
        status = game.must("until", "Reconnecting")
        assert status["error"] == "Timeout"
        assert "nothing came from the server" in status["text"]
        link.stall(False)
        streams(game)


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"server": "not an address"}, "BadValue", "address"),
        ({"fps": 0}, "BadValue", "fps"),
        ({"strength": 5}, "BadValue", "strength"),
        ({"tokenFile": "/nowhere/token"}, "File", "/nowhere/token"),
    ],
)
def test_settings_that_cannot_be(settings: dict[str, object], error: str, said: str):
    with MiniServer() as server, playing() as game:
        right = {"server": server.address, "tokenFile": "", "strength": 1, **SIZE}
        game("start", **{**right, **settings})
        failed(game, error, said)
        game("set", **right)
        game("restart")
        streams(game)


def test_a_graphics_card_that_cannot_read_back():
    with playing() as game:
        game("old")
        game("start", server="127.0.0.1:1", **SIZE)
        failed(game, "Unsupported", "cannot read back")


def test_a_change_that_is_refused_leaves_the_session_as_it_was():
    with MiniServer() as server, playing() as game:
        game("start", server=server.address, **SIZE)
        streams(game)
        game("set", strength=5)
        game("play", 5)
        status = game("status")
        assert "the change was refused: strength is 5" in status["notice"]
        assert status["state"] == "Streaming"
        game("set", strength=1)
        game.must("stream", 4, 3)
    assert len(server.seen.opens) == 1
