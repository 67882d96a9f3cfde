"""The state of a client, for programs and for people, and what ends a connection."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """States of a client; the last two are final."""

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


class StatusLog:
    """Logs one line when the connection cannot be made or breaks, and one when it is back.

    Attempts in between are debug messages: a server that is down for an hour must not fill the log.
    `told`: the user gets every status by callback, so that warnings would say everything twice.
    """

    def __init__(self, log: logging.Logger, *, told: bool) -> None:
        self._log, self._told = log, told
        self._connecting = self._down = False

    def write(self, status: Status) -> None:
        connecting = status.state is State.CONNECTING
        # "Connecting" said a second time: the server has not answered yet.
        down = status.state is State.RECONNECTING or (connecting and self._connecting)
        self._log.log(self._level(status, down), "%s: %s", status.state, status.text)
        self._connecting = connecting
        if status.state is not State.QUEUED:  # a place in the queue is not a session yet
            self._down = down

    def _level(self, status: Status, down: bool) -> int:
        if down and self._down:
            return logging.DEBUG
        if status.state is State.FAILED:
            level = logging.ERROR
        elif down or (self._down and status.state is State.STREAMING):
            level = logging.WARNING
        else:
            return logging.INFO
        return logging.INFO if self._told else level


class Broken(Exception):
    """The connection is lost; another attempt may succeed."""


class Refused(Exception):
    """The server refuses this session, and would again; the message says what to change."""
