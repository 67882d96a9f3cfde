"""The tests in C++, and whole streams through the C interface, in every build that exists."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native.conftest import BUILDS, tool
from tests.native.hostile_server import HostileServer, Manners

ENVIRONMENT = os.environ | {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}


def run_tool(name: str, build: str, *arguments: object) -> str:
    """What the program prints; fails with it when the program fails."""
    command = [str(tool(name, build)), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=600)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


@pytest.mark.parametrize("build", BUILDS)
def test_the_tests_in_cpp_pass(build: str):
    assert " 0 failures" in run_tool("c2r_tests", build)


@pytest.mark.parametrize("build", BUILDS)
def test_a_stream_with_breaks_is_accounted_for(build: str):
    with MiniServer(Script(chunk_latents=2, break_after=30)) as server:
        said = run_tool("c2r_drive", build, server.address, 64, 32, 120, 0)
    assert "accounted=1" in said
    assert "connections=2" in said


@pytest.mark.parametrize("build", BUILDS)
def test_a_stream_that_drops_frames_is_accounted_for(build: str):
    # Submitted at once, while the server answers four frames in 0.2 s.
    with MiniServer(Script(delay_s=0.2, in_flight_chunks=1)) as server:
        said = run_tool("c2r_drive", build, server.address, 64, 32, 120, 100_000)
    assert "accounted=1" in said
    assert "others=0" not in said


@pytest.mark.parametrize("build", BUILDS)
def test_a_stream_through_a_narrow_window_is_accounted_for(build: str):
    manners = Manners(window=3000, step=500, data_piece=777, padding=9, header_piece=6, pings=20)
    with HostileServer(manners) as server:
        said = run_tool("c2r_drive", build, server.address, 64, 32, 40, 0)
    assert "accounted=1 rendered=40" in said
