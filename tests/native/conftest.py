"""The native client's tests need what `make native` builds; without it they are skipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.native.native_abi import library_path

ROOT = Path(__file__).resolve().parents[2]
BUILDS = {
    "plain": ROOT / "build" / "native",
    "asan": ROOT / "build" / "native-asan",
    "tsan": ROOT / "build" / "native-tsan",
}
"""The builds of `make native` and `make test-native`; the latter two with sanitizers."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what lies in this folder when there is no library."""
    here = Path(__file__).parent
    if library_path() is not None:
        return
    reason = "the native client is not built: make native, after the packages that its README lists"
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=reason))


def tool(name: str, build: str = "plain") -> Path:
    """A program of the tests in C++; skips the test where it is not built."""
    path = BUILDS[build] / "tests" / name
    if not path.is_file():
        pytest.skip(f"{name} is not built ({build}): make test-native builds it")
    return path
