"""The small DiT that these tests share."""

from __future__ import annotations

import pytest

from c2r.models.dit import DiT
from tests.small_networks import make_dit


@pytest.fixture
def dit() -> DiT:
    return make_dit()
