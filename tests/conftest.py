"""What holds for all tests. Imports no torch: the engine's side is tested without it."""

from __future__ import annotations

from pathlib import Path

import pytest

TIMED = (
    "e2e/test_",
    "engine_bridge/test_client",
    "runtime/test_serve",
    "runtime/test_session",
    "native/test_native",
)
"""Tests with real servers, clients and clocks. On a machine whose cores are taken away for seconds
a time limit can pass though the code is right, so these have three tries; a real fault fails all.
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the timed tests their tries."""
    for item in items:
        path = Path(item.path).as_posix()
        if any(part in path for part in TIMED):
            item.add_marker(pytest.mark.flaky(reruns=2, reruns_delay=1))
