"""Where a client stands, in a word for programs and a sentence for people."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """A client's states; the last two are final."""

    CONNECTING = "connecting"
    QUEUED = "queued"
    STREAMING = "streaming"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"
    FAILED = "failed"


@dataclass(frozen=True)
class Status:
    """`queue_position`: as the server says while queued. `retry_in_s`: until the next attempt."""

    state: State
    text: str
    queue_position: int = 0
    retry_in_s: float | None = None

    @property
    def final(self) -> bool:
        """Nothing will be sent or received any more."""
        return self.state in (State.CLOSED, State.FAILED)
