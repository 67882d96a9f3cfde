"""What the native client's tests share. No wait fails because the machine is slow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from c2r.wire import CoarseFrame
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.options import Patience
from engine_bridge.client.status import State, Status
from tests.engine_bridge import client_rig
from tests.native.native_client import HANG_S, NativeClient

PATIENCE = Patience(
    silence_s=HANG_S, stuck_s=HANG_S, feedback_s=0.1, retry_first_s=0.05, retry_most_s=0.2
)
"""Long enough for a busy machine; tests of a timeout shorten the one they are about."""


def native(address: str, token: str | None = None, **changes: Any) -> NativeClient:
    """A client of a server of the tests, not started yet."""
    return NativeClient(
        Endpoint(address, token=token), client_rig.options(**{"patience": PATIENCE, **changes})
    )


def patience(**changes: float) -> Patience:
    return replace(PATIENCE, **changes)


def until(true: Callable[[], object]) -> None:
    """Wait until something holds."""
    client_rig.until(true, HANG_S)


def until_state(client: NativeClient, *states: State) -> str:
    """Wait for the next change to one of `states`; its text. Events after it stay to be read.

    Read from the client's events: a state that lasts some milliseconds only is not missed.
    """
    texts: list[str] = []

    def reached() -> bool:
        while not texts and (event := client.next_event()) is not None:
            if isinstance(event, Status) and event.state in states:
                texts.append(event.text)
        return bool(texts)

    until(reached)
    return texts[0]


def play(client: Any, frames: Iterable[CoarseFrame]) -> list[Any]:
    """Submit frames, each when there is room for it, so that none is dropped; outcomes so far."""
    outcomes: list[Any] = []

    def room() -> bool:
        outcomes.extend(client.poll())
        return bool(client.has_room)

    for frame in frames:
        until(room)
        client.submit(frame)
    return outcomes
