"""Keeps a session alive over one connection after another: connects, resumes, backs off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from c2r.wire import Accepted, OpenRequest
from c2r.wire.events import ControlAck, Ended, EndReason, SessionWarning
from engine_bridge.client.backoff import Backoff
from engine_bridge.client.books import Books
from engine_bridge.client.channel import open_channel
from engine_bridge.client.connection import Connection, Listener
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.faults import Broken, Refused
from engine_bridge.client.options import Patience
from engine_bridge.client.status import State, Status

log = logging.getLogger(__name__)


class Supervisor:
    """One client's session. Told to `end`, or refused, it comes to an end; else it tries on.

    `announce` gets every change of state; `warned`, `acknowledged` and `outcomes` as in `Listener`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience,
        books: Books,
        *,
        announce: Callable[[Status], None],
        warned: Callable[[SessionWarning], None],
        acknowledged: Callable[[ControlAck], None],
        outcomes: Callable[[], None],
    ) -> None:
        self.endpoint, self.patience, self.books = endpoint, patience, books
        self.accepted: Accepted | None = None
        self._announce, self._outcomes = announce, outcomes
        self._listener = Listener(self._accept, self._queue, warned, acknowledged, outcomes)
        self._backoff = Backoff(patience.retry_first_s, patience.retry_most_s)
        self._connection: Connection | None = None
        self._ending = asyncio.Event()
        self._token = b""
        self._lost = 0
        self._alive_at = 0.0
        self._down_at: float | None = None

    def wake(self) -> None:
        """Something was put into the books."""
        if self._connection is not None:
            self._connection.wake()

    def end(self, *, discard: bool) -> bool:
        """Bring the session to its end; False when there is none to be polite to."""
        self._ending.set()
        connection = self._connection
        if connection is None or connection.accepted is None:
            return False
        connection.end(discard=discard)
        return True

    async def run(self) -> None:
        """Until `end`. Raises `Refused` when trying on makes no sense."""
        self._alive_at = asyncio.get_running_loop().time()
        self._announce(Status(State.CONNECTING, f"connecting to {self.endpoint.address}"))
        while not self._ending.is_set():
            try:
                reason = self._judge_end(await self._connect())
            except Broken as broken:
                reason = str(broken)
            finally:
                self._disconnect()
            if not self._ending.is_set():
                await self._back_off(reason)

    async def _connect(self) -> Ended:
        opening = self._opening()
        channel = open_channel(self.endpoint, opening.width, opening.height)
        try:
            self._connection = Connection(
                channel, self.endpoint, self.patience, self.books, self._listener
            )
            return await self._connection.run(opening)
        finally:
            await channel.close()

    def _disconnect(self) -> None:
        connection, self._connection, self.accepted = self._connection, None, None
        if connection is not None and connection.accepted is not None:
            self._alive_at = asyncio.get_running_loop().time()
        if connection is not None and connection.answers:
            self._backoff.reset()
        self._lost += self.books.account.lose()
        self.books.controls.reopen()
        self._outcomes()

    def _opening(self) -> OpenRequest:
        return replace(self.books.controls.opening, resume_token=self._token)

    def _judge_end(self, ended: Ended) -> str:
        """Why the session is over, where another may follow; `Refused` where not."""
        if not ended.resumable:
            self._token = b""
        text = ended.message or f"the server ended the session ({ended.reason})"
        if ended.reason is EndReason.TAKEN_OVER:
            raise Refused(f"another client took this session over: {text}")
        return text

    async def _back_off(self, reason: str) -> None:
        now, give_up = asyncio.get_running_loop().time(), self.patience.give_up_s
        self._down_at = self._down_at or now
        wait = self._backoff.next()
        if give_up is not None and now + wait - self._alive_at > give_up:
            raise Refused(
                f"no session with {self.endpoint.address} for {give_up:g} s ({reason}); start the "
                "server there (c2r serve), or give another address"
            )
        text = f"no connection to {self.endpoint.address} ({reason}); next try in {wait:.1f} s"
        self._announce(Status(State.RECONNECTING, text, retry_in_s=wait))
        try:
            await asyncio.wait_for(self._ending.wait(), wait)
        except TimeoutError:
            return

    def _accept(self, accepted: Accepted) -> None:
        text = self._greeting(accepted)
        self.accepted, self._token = accepted, accepted.resume_token
        self.books.controls.keep_seed(accepted.seed)
        self._lost, self._down_at = 0, None
        self._announce(Status(State.STREAMING, text))

    def _greeting(self, accepted: Accepted) -> str:
        stream = f"{accepted.width}x{accepted.height} at {accepted.fps:g} frames a second"
        if self._down_at is None:
            return f"streaming {stream} to {accepted.server or self.endpoint.address}"
        down = asyncio.get_running_loop().time() - self._down_at
        news = f"connected again after {down:.1f} s, {self._lost} frames were lost"
        if accepted.resumed:
            return f"{news}; the session goes on"
        return f"{news}; the renderer began anew and has forgotten what it had drawn"

    def _queue(self, place: int) -> None:
        text = f"the server is loading or full; place {place} in the queue"
        self._announce(Status(State.QUEUED, text, queue_position=place))
