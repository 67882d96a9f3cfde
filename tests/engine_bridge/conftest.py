"""What the tests of the engine's side share. Imports no torch, as no game does."""

from collections.abc import Iterator

import pytest

from tests.engine_bridge.mini_server import MiniServer


@pytest.fixture
def server() -> Iterator[MiniServer]:
    """A well-behaved server on a free port."""
    with MiniServer() as running:
        yield running
