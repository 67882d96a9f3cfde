"""What the client's tests share: small frames, clients, recorded events, waits.

No test waits for a time to pass: it waits for what must happen, with a bound that only a hang
reaches. Silence and stuck servers are the subject of tests of their own; elsewhere they are off.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from c2r.wire import CoarseFrame, DroppedFrame, FrameReply, RenderedFrame, ResetReason
from c2r.wire.events import ControlAck, SessionWarning
from engine_bridge.client import (
    ClientOptions,
    Patience,
    RenderClient,
    State,
    Status,
    monotonic_us,
)
from tests.engine_bridge.mini_server import MiniServer

WIDTH, HEIGHT = 64, 32
HANG_S = 60.0
PATIENCE = Patience(
    silence_s=HANG_S, stuck_s=HANG_S, feedback_s=0.1, retry_first_s=0.05, retry_most_s=0.2
)


def frame(frame_id: int, reset: ResetReason | None = None) -> CoarseFrame:
    """A frame whose pixels tell its id."""
    rgb = np.full((HEIGHT, WIDTH, 3), frame_id % 251, np.uint8)
    return CoarseFrame(frame_id, monotonic_us(), rgb, reset=reset)


def frames(count: int, first: int = 0) -> Iterator[CoarseFrame]:
    return (frame(index) for index in range(first, first + count))


def options(**changes: Any) -> ClientOptions:
    return replace(ClientOptions(WIDTH, HEIGHT, 16.0, patience=PATIENCE), **changes)


def client_of(server: MiniServer, callbacks: dict[str, Any] | None = None, **changes: Any):
    """A client that is not started yet."""
    return RenderClient(server.address, options(**changes), **(callbacks or {}))


class ClientEvents:
    """Records what a client reports and returns; pass `callbacks` to it."""

    def __init__(self) -> None:
        self.outcomes: list[FrameReply] = []
        self.statuses: list[Status] = []
        self.acks: list[ControlAck] = []
        self.warnings: list[SessionWarning] = []
        self.callbacks: dict[str, Any] = {
            "on_result": self.outcomes.append,
            "on_status": self.statuses.append,
            "on_ack": self.acks.append,
            "on_warning": self.warnings.append,
        }

    @property
    def states(self) -> list[State]:
        return [status.state for status in self.statuses]

    @property
    def outages(self) -> list[Status]:
        return [status for status in self.statuses if status.state is State.RECONNECTING]


def until(true: Callable[[], object], timeout_s: float = HANG_S) -> None:
    """Wait until something holds; fail when it does not in time."""
    end = time.monotonic() + timeout_s
    while not true():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def read(client: RenderClient, count: int, timeout_s: float = HANG_S) -> list[FrameReply]:
    """The next `count` outcomes."""
    outcomes: list[FrameReply] = []

    def enough() -> bool:
        outcomes.extend(client.poll())
        return len(outcomes) >= count

    until(enough, timeout_s)
    assert len(outcomes) == count
    return outcomes


def send_paced(client: RenderClient, sent: Iterable[CoarseFrame]) -> list[FrameReply]:
    """Submit frames as fast as none is dropped; the outcomes that came meanwhile."""
    outcomes: list[FrameReply] = []

    def free() -> bool:
        outcomes.extend(client.poll())
        return client.has_room

    for one in sent:
        until(free)
        client.submit(one)
    return outcomes


def kinds(outcomes: Iterable[FrameReply]) -> Counter[str]:
    """How many outcomes of which kind: `rendered`, `failed`, or the reason of a drop."""
    return Counter(map(kind, outcomes))


def kind(outcome: FrameReply) -> str:
    if isinstance(outcome, RenderedFrame):
        return "rendered"
    return str(outcome.reason) if isinstance(outcome, DroppedFrame) else "failed"


def assert_each_once(outcomes: Iterable[FrameReply], ids: Iterable[int]) -> None:
    """Exactly one outcome for every id, in order."""
    assert [outcome.frame_id for outcome in outcomes] == list(ids)
