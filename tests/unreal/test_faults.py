"""Faults between a game and the server, through the plugin's pacing, fallback and retry
(`programs/faults.cpp`): a state and a text, the coarse frame on screen, and pictures again.
"""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native.native_abi import library_path
from tests.native.native_client import HANG_S
from tests.native.native_rig import until
from tests.native.slow_link import SlowLink
from tests.unreal.plugin import NATIVE, SOURCE, build_program

PROGRAM = Path(__file__).parent / "programs" / "faults.cpp"


class Screen:
    """What a player sees: `now` is (state, "picture" or "coarse", text)."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.now = ("", "", "")
        self._process = process
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            state, shows, text = line.rstrip("\n").split("|", 2)
            self.now = (state, shows, text)

    def until(self, state: str, shows: str, said: str = "") -> None:
        """Wait until all three hold at once."""

        def holds() -> bool:
            now = self.now
            return now[:2] == (state, shows) and said in now[2]

        try:
            until(holds)
        except AssertionError as late:
            raise AssertionError(f"wanted {(state, shows, said)}, saw {self.now}") from late


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory, compiler: str) -> Path:
    library = library_path()
    if library is None:
        pytest.skip("the native client is not built (make native): the faults were not played")
    includes = [SOURCE / "C2RRuntime" / "Private", NATIVE / "include"]
    link = [str(library), f"-Wl,-rpath,{library.parent}"]
    return build_program(PROGRAM, tmp_path_factory.mktemp("faults"), includes, link)


@contextmanager
def playing(
    program: Path, address: str, token: str = "", width: int = 64, silence_s: float = 5.0
) -> Iterator[Screen]:
    """A game that runs until the end of the block."""
    words = [str(program), address, token, str(width), "32", str(silence_s), "0.3"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield Screen(process)
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(HANG_S) == 0
    finally:
        process.kill()
        process.wait(HANG_S)


def test_a_server_that_is_killed_and_comes_back(program: Path) -> None:
    with MiniServer() as server, playing(program, server.address) as screen:
        screen.until("streaming", "picture")
        server.stop()
        screen.until("reconnecting", "coarse", f"no connection to {server.address}")
        server.start()
        screen.until("streaming", "picture", "connected again")


def test_a_server_that_is_not_there_yet(program: Path) -> None:
    with MiniServer() as server:
        server.stop()
        with playing(program, server.address) as screen:
            screen.until("reconnecting", "coarse", "refused")
            server.start()
            screen.until("streaming", "picture")


@pytest.mark.parametrize(
    ("name", "wrong", "right", "said"),
    [
        ("token", "another-token", "the-token", "the token is wrong or missing"),
        ("protocol_major", 9, 1, "protocol"),
        ("refuse", (grpc.StatusCode.INVALID_ARGUMENT, "open.width: is 64"), None, "open.width"),
    ],
    ids=["token", "version", "size"],
)
def test_what_only_a_change_can_fix_is_tried_again(
    name: str, wrong: object, right: object, said: str, program: Path
) -> None:
    script = Script()
    setattr(script, name, wrong)
    with MiniServer(script) as server, playing(program, server.address, "the-token") as screen:
        screen.until("failed", "coarse", said)
        setattr(script, name, right)
        screen.until("streaming", "picture")


def test_a_wrong_size_says_what_is_right(program: Path) -> None:
    with MiniServer() as server, playing(program, server.address, width=72) as screen:
        screen.until("failed", "coarse", "multiple of 16")


def test_a_full_disk_on_the_server(program: Path) -> None:
    full = (grpc.StatusCode.UNAVAILABLE, "disk full: No space left on device")
    with MiniServer() as server, playing(program, server.address) as screen:
        screen.until("streaming", "picture")
        server.stop()
        server.script.refuse = full
        server.start()
        screen.until("reconnecting", "coarse", "No space left on device")
        server.script.refuse = None
        screen.until("streaming", "picture")


def test_a_network_that_stalls(program: Path) -> None:
    with (
        MiniServer() as server,
        SlowLink(server.address, 0.0) as link,
        playing(program, link.address, silence_s=0.6) as screen,
    ):
        screen.until("streaming", "picture")
        link.stall()
        screen.until("reconnecting", "coarse", "nothing came from the server")
        link.stall(False)
        screen.until("streaming", "picture")
