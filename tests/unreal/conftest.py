"""The plugin's tests need g++ for most of what they do; without it they skip and say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unreal.plugin import gxx, make_engine


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Headers by Unreal's names that declare what the plugin uses."""
    return make_engine(tmp_path_factory.mktemp("engine"))


@pytest.fixture(scope="session")
def compiler() -> str:
    """g++; skips the test where it is missing."""
    path = gxx()
    if path is None:
        pytest.skip("g++ is missing: the plugin's C++ was neither compiled nor run")
    return path
