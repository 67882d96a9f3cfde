"""What the native client's tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def has_room(client: Any, outcomes: list[Any]) -> Callable[[], bool]:
    """For `until`: reads outcomes, and says whether a frame would be sent at once."""

    def free() -> bool:
        outcomes.extend(client.poll())
        return bool(client.has_room)

    return free
