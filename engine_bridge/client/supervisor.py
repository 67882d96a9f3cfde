"""Keeps a session alive over several connections: connects, resumes, backs off.

Resume: the server gives each session a token. After a break the next `open` carries it; within the
server's grace period the session then continues with its K/V cache, else the stream is reset.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from random import Random

from c2r.wire import Accepted
from c2r.wire.events import ControlAck, Ended, EndReason, SessionWarning
from engine_bridge.client.account import ClientRecord
from engine_bridge.client.channel import open_channel
from engine_bridge.client.connection import Connection, Listener
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.options import Patience
from engine_bridge.client.status import Broken, Refused, State, Status

SLOW_S = 2.0
"""After so long without an answer to `open` the status says that the client still waits."""


class Backoff:
    """Seconds between attempts: `first`, doubled up to `most`, times a random share in [1/2, 1].

    The random share keeps the clients of a restarted server from reconnecting in step.
    """

    def __init__(self, first: float, most: float, random: Random | None = None) -> None:
        self.first, self.most = first, most
        self._random = random or Random()
        self._wait = first

    def next(self) -> float:
        wait = self._wait * self._random.uniform(0.5, 1.0)
        self._wait = min(self.most, 2 * self._wait)
        return wait

    def reset(self) -> None:
        self._wait = self.first


class Supervisor:
    """One client's session, until `end` or a refusal.

    `announce` gets every change of state; `warned`, `acknowledged` and `outcomes` as in `Listener`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        patience: Patience,
        record: ClientRecord,
        *,
        announce: Callable[[Status], None],
        warned: Callable[[SessionWarning], None],
        acknowledged: Callable[[ControlAck], None],
        outcomes: Callable[[], None],
    ) -> None:
        self.endpoint, self.patience, self.record = endpoint, patience, record
        self.accepted: Accepted | None = None
        self._announce, self._outcomes = announce, outcomes
        self._listener = Listener(self._accept, self._queue, warned, acknowledged, outcomes)
        self._backoff = Backoff(patience.retry_first_s, patience.retry_most_s)
        self._connection: Connection | None = None
        self._ending = asyncio.Event()
        self._slow: asyncio.TimerHandle | None = None
        self._token = b""
        self._lost = 0
        self._alive_at = 0.0
        self._down_at: float | None = None
        self._had_session = False

    def wake(self) -> None:
        """The record has changed: there may be something to send."""
        if self._connection is not None:
            self._connection.wake()

    def end(self, *, discard: bool) -> bool:
        """Ask the server to end the session; False when there is none to end."""
        self._ending.set()
        connection = self._connection
        if connection is None or connection.accepted is None:
            return False
        connection.end(discard=discard)
        return True

    async def run(self) -> None:
        """Until `end`. Raises `Refused` when another attempt would be refused too."""
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
        opening = replace(self.record.controls.opening, resume_token=self._token)
        channel = open_channel(self.endpoint, opening.width, opening.height)
        self._slow = asyncio.get_running_loop().call_later(SLOW_S, self._say_slow)
        try:
            self._connection = Connection(
                channel, self.endpoint, self.patience, self.record, self._listener
            )
            return await self._connection.run(opening)
        finally:
            await channel.close()

    def _disconnect(self) -> None:
        self._answered()
        connection, self._connection, self.accepted = self._connection, None, None
        if connection is not None and connection.accepted is not None:
            self._alive_at = asyncio.get_running_loop().time()
        # A server that accepts and then breaks must not be called in a tight loop: only a reply to
        # a frame counts as success.
        if connection is not None and connection.answers:
            self._backoff.reset()
        self._lost += self.record.account.lose()
        self.record.controls.reopen()
        self._outcomes()

    def _judge_end(self, ended: Ended) -> str:
        """Why the session is over, when another may follow; `Refused` when not."""
        if not ended.resumable:
            self._token = b""
        text = ended.message or f"the server ended the session ({ended.reason})"
        if ended.reason is EndReason.TAKEN_OVER:
            # Reconnecting would take the session back, and the other client would do the same.
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
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), wait)

    def _accept(self, accepted: Accepted) -> None:
        self._answered()
        text = self._greeting(accepted)
        self.accepted, self._token = accepted, accepted.resume_token
        self.record.controls.keep_seed(accepted.seed)
        self._lost, self._down_at, self._had_session = 0, None, True
        self._announce(Status(State.STREAMING, text))

    def _greeting(self, accepted: Accepted) -> str:
        address = self.endpoint.address
        stream = f"{accepted.width}x{accepted.height} at {accepted.fps:g} frames a second"
        if self._down_at is None:
            return f"streaming {stream} to {accepted.server or 'a server'} at {address}"
        down = asyncio.get_running_loop().time() - self._down_at
        if not self._had_session:
            return f"connected to {address} after {down:.1f} s; streaming {stream}"
        text = f"connected again to {address} after {down:.1f} s, {self._lost} frames were lost"
        if accepted.resumed:
            return f"{text}; the session goes on"
        return f"{text}; the renderer has reset the stream"

    def _queue(self, place: int) -> None:
        self._answered()
        text = f"{self.endpoint.address} is loading or full; place {place} in the queue"
        self._announce(Status(State.QUEUED, text, queue_position=place))

    def _answered(self) -> None:
        if self._slow is not None:
            self._slow.cancel()
            self._slow = None

    def _say_slow(self) -> None:
        """Neither accepted nor refused: packets may vanish on the way, which TCP tells nobody."""
        state = State.CONNECTING if self._down_at is None else State.RECONNECTING
        text = f"no answer from {self.endpoint.address} for {SLOW_S:g} s; still waiting"
        self._announce(Status(state, text))
