"""Who is in: admission with a queue, and sessions that wait for their client to return.

A session takes memory on the device from its admission until it is let go. Parked sessions give
way to new ones, the one parked longest first. Lives on the event loop.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable

from c2r.wire import OpenRequest
from runtime.pipeline.pipeline import Pipeline
from runtime.pipeline.render_thread import RenderThread
from runtime.pipeline.video_stream import RenderParameters, Video
from runtime.session.session import Session, look_of, look_resumed
from runtime.session.settings import ServeSettings
from runtime.session.status import Refusal, RefusedError

log = logging.getLogger(__name__)

Told = Callable[[int], None]
"""Is told how many are ahead in the queue, 1 being next; 0 once admitted."""


class Admission:
    """Lets sessions in, one by one, up to the limit; keeps the parked ones."""

    def __init__(self, thread: RenderThread, settings: ServeSettings) -> None:
        self._thread = thread
        self._settings = settings
        self._pipeline: Pipeline | None = None
        self._seated = 0
        self._queue: list[tuple[asyncio.Future[None], Told]] = []
        self._sessions: dict[bytes, Session] = {}
        self._parked: dict[bytes, asyncio.TimerHandle] = {}
        self._closing = False
        self.changed = asyncio.Event()
        """Set whenever a session leaves."""

    @property
    def living(self) -> list[Session]:
        """Sessions on a stream."""
        return [one for one in self._sessions.values() if one.line is not None]

    @property
    def seated(self) -> int:
        """Places taken: sessions, those being opened, and parked ones."""
        return self._seated

    def open(self, pipeline: Pipeline) -> None:
        """The renderer is ready: let in who waits."""
        self._pipeline = pipeline
        self._admit()

    def close(self) -> None:
        """Let nobody in any more; parked sessions are gone."""
        self._closing = True
        for seat, _ in self._queue:
            if not seat.done():
                seat.set_exception(_stopping())
        for key in list(self._parked):
            self._forget(key)

    def resume(self, request: OpenRequest) -> Session | None:
        """The session that the request's token names, taken over from the stream it is on."""
        key = _key(request.resume_token)
        session = self._sessions.get(key)
        if session is None or self._closing:
            return None
        timer = self._parked.pop(key, None)
        if timer is not None:
            timer.cancel()
        if session.line is not None:
            session.line.take_over()
            session.line = None
        session.take(look_resumed(session.look, request, self._settings.blend_chunks))
        return session

    async def enter(self, request: OpenRequest, told: Told) -> Session:
        """A new session, when there is a place; `RefusedError` when even the queue is full."""
        await self._sit(told)
        try:
            look = look_of(request, self._settings.blend_chunks)
            session = Session(await self._open_video(look), look, time.perf_counter())
            if self._closing:
                raise _stopping()
        except BaseException:
            self._stand_up()
            raise
        self._sessions[_key(session.token)] = session
        return session

    def leave(self, session: Session, line: object, *, parks: bool) -> None:
        """A stream of the session is over. No word when another one goes on with it."""
        if session.line is not line:
            return
        session.line = None
        key = _key(session.token)
        grace_s = self._settings.resume_grace_s
        if parks and grace_s > 0 and not self._closing:
            loop = asyncio.get_running_loop()
            self._parked[key] = loop.call_later(grace_s, self._forget, key)
            self._admit()
        else:
            self._forget(key)
        self.changed.set()

    async def _open_video(self, look: RenderParameters) -> Video:
        assert self._pipeline is not None, "nobody sits before the renderer is ready"
        try:
            return await self._thread.call(Video, self._pipeline, look)
        except (ValueError, RuntimeError, MemoryError) as error:
            log.exception("no session could be opened")
            message = f"the server cannot open a session: {error}"
            raise RefusedError(Refusal.NO_MEMORY, message) from error

    async def _sit(self, told: Told) -> None:
        if self._closing:
            raise _stopping()
        ahead = len(self._waiting)
        if self._pipeline is not None and ahead == 0 and self._free():
            self._seated += 1
            return
        if ahead >= self._settings.max_waiting:
            message = (
                f"the server is full: {self._places} sessions, {ahead} waiting; try again later"
            )
            raise RefusedError(Refusal.FULL, message)
        seat: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((seat, told))
        told(ahead + 1)
        try:
            await seat
        except BaseException:
            if seat.done() and not seat.cancelled() and seat.exception() is None:
                self._stand_up()  # it was given a place in the moment it left
            raise
        finally:
            self._queue = [entry for entry in self._queue if entry[0] is not seat]
            self._admit()
            for place, (_, tell) in enumerate(self._waiting, start=1):
                tell(place)

    def _free(self) -> bool:
        """A place is free, or a parked session gives way."""
        if self._seated >= self._places and self._parked:
            self._forget(next(iter(self._parked)), admit=False)
        return self._seated < self._places

    @property
    def _places(self) -> int:
        """Sessions at once: as many as are allowed, and as memory was found for."""
        most = None if self._pipeline is None else self._pipeline.most_streams
        return min(self._settings.max_sessions, most or self._settings.max_sessions)

    @property
    def _waiting(self) -> list[tuple[asyncio.Future[None], Told]]:
        return [entry for entry in self._queue if not entry[0].done()]

    def _admit(self) -> None:
        if self._pipeline is None or self._closing:
            return
        for seat, told in self._waiting:
            if not self._free():
                return
            self._seated += 1
            told(0)
            seat.set_result(None)

    def _stand_up(self) -> None:
        self._seated -= 1
        self._admit()

    def _forget(self, key: bytes, *, admit: bool = True) -> None:
        """Let a session go; its memory is freed on the render thread, after its last chunk."""
        timer = self._parked.pop(key, None)
        if timer is not None:
            timer.cancel()
        session = self._sessions.pop(key)
        self._thread.put(session.video.close)
        self._seated -= 1
        if admit:
            self._admit()


def _key(token: bytes) -> bytes:
    """What a session is looked up by: how long it takes tells nothing about the token."""
    return hashlib.sha256(token).digest()


def _stopping() -> RefusedError:
    return RefusedError(Refusal.STOPPING, "the server stops; connect again later")
