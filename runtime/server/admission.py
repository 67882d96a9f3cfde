"""Who is served: session slots with a queue, and sessions that wait for their client to return.

A session takes a slot, and memory on the device, from its admission until it is let go. Parked
sessions keep theirs, but give way to new ones, the one parked longest first. Lives on the event
loop; every change of slots, queue and parked sessions happens between two awaits, so that none of
them needs a lock.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable

from c2r.wire import OpenRequest
from runtime.core import RenderParameters
from runtime.pipeline.pipeline import Pipeline, Video
from runtime.pipeline.render_thread import RenderThread
from runtime.session.session import (
    Refusal,
    RefusedError,
    Session,
    open_parameters,
    resume_parameters,
)
from runtime.session.settings import ServeSettings

log = logging.getLogger(__name__)

OnPosition = Callable[[int], None]
"""Is told a client's position in the queue, 1 being next; 0 once admitted."""


class Admission:
    """Admits sessions, one by one, up to the limit; keeps the parked ones."""

    def __init__(self, thread: RenderThread, settings: ServeSettings) -> None:
        self._thread = thread
        self._settings = settings
        self._pipeline: Pipeline | None = None
        self._slots_taken = 0
        self._queue: list[tuple[asyncio.Future[None], OnPosition]] = []
        self._sessions: dict[bytes, Session] = {}
        self._parked: dict[bytes, asyncio.TimerHandle] = {}
        self._closing = False
        self.changed = asyncio.Event()
        """Set whenever a stream leaves its session."""

    @property
    def active(self) -> list[Session]:
        """Sessions on a stream."""
        return [session for session in self._sessions.values() if session.stream is not None]

    @property
    def slots_taken(self) -> int:
        """Sessions on a stream, those being opened, and parked ones."""
        return self._slots_taken

    @property
    def queued(self) -> int:
        """Clients that wait for a slot."""
        return len(self._waiting)

    def open(self, pipeline: Pipeline) -> None:
        """The renderer is ready: admit the clients that wait."""
        self._pipeline = pipeline
        self._admit()

    def close(self) -> None:
        """Admit no one any more; parked sessions are let go."""
        self._closing = True
        for slot, _ in self._queue:
            if not slot.done():
                slot.set_exception(_stopping())
        for key in list(self._parked):
            self._let_go(key)

    def resume(self, request: OpenRequest) -> Session | None:
        """The session that the request's token names, taken over from the stream it is on.

        It has another token from now on, so that one that was seen on its way is worth nothing. The
        one before stays good until a message on the new stream shows that its client has the other:
        the connection may break before it arrives.
        """
        if self._closing or (session := self._named(request.resume_token)) is None:
            return None
        timer = self._parked.pop(_key(session.token), None)
        if timer is not None:
            timer.cancel()
        if session.stream is not None:
            # The client came back before its old connection was noticed to be dead. The old
            # stream ends by and by; `leave` will find that the session is no longer on it.
            session.stream.take_over()
            session.stream = None
        del self._sessions[_key(session.token)]
        session.renew_token(used=request.resume_token)
        self._sessions[_key(session.token)] = session
        resumed = resume_parameters(session.params, request, self._settings.blend_chunks)
        session.update_params(resumed)
        return session

    async def enter(self, request: OpenRequest, on_position: OnPosition) -> Session:
        """A new session, when there is a slot; `RefusedError` when even the queue is full."""
        await self._take_slot(on_position)
        try:
            params = open_parameters(request, self._settings.blend_chunks)
            session = Session(await self._open_video(params), params, time.perf_counter())
            if self._closing:
                raise _stopping()
        except BaseException:
            self._release_slot()
            raise
        self._sessions[_key(session.token)] = session
        return session

    def leave(self, session: Session, stream: object, *, parks: bool) -> None:
        """A stream of the session is over. Does nothing when another one goes on with it."""
        if session.stream is not stream:
            return
        session.stream = None
        key = _key(session.token)
        grace_s = self._settings.resume_grace_s
        if parks and grace_s > 0 and not self._closing:
            loop = asyncio.get_running_loop()
            self._parked[key] = loop.call_later(grace_s, self._let_go, key)
            self._admit()  # a client may wait for this slot: then parking was in vain
        else:
            self._let_go(key)
        self.changed.set()

    def _named(self, token: bytes) -> Session | None:
        key = _key(token)
        if key in self._sessions:
            return self._sessions[key]
        unconfirmed = (one for one in self._sessions.values() if one.old_token)
        return next((one for one in unconfirmed if _key(one.old_token) == key), None)

    async def _open_video(self, params: RenderParameters) -> Video:
        assert self._pipeline is not None, "no slot is given before the renderer is ready"
        try:
            return await self._thread.call(Video, self._pipeline, params)
        except (ValueError, RuntimeError, MemoryError) as error:
            log.exception("no session could be opened")
            message = f"the server cannot open a session: {error}"
            raise RefusedError(Refusal.NO_MEMORY, message) from error

    async def _take_slot(self, on_position: OnPosition) -> None:
        if self._closing:
            raise _stopping()
        ahead = self.queued
        if self._pipeline is not None and ahead == 0 and self._has_free_slot():
            self._slots_taken += 1
            return
        if ahead >= self._settings.max_waiting:
            message = f"the server is full: {self._slots} sessions, {ahead} waiting"
            raise RefusedError(Refusal.FULL, f"{message}; try again later")
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append((slot, on_position))
        on_position(ahead + 1)
        try:
            await slot
        except BaseException:
            # Cancelled between `_admit`, which counted the slot, and here, where it would have
            # been used: the client left at the moment of its admission.
            if slot.done() and not slot.cancelled() and slot.exception() is None:
                self._release_slot()
            raise
        finally:
            self._queue = [entry for entry in self._queue if entry[0] is not slot]
            self._admit()
            for position, (_, tell) in enumerate(self._waiting, start=1):
                tell(position)

    def _has_free_slot(self) -> bool:
        """Whether a slot is free, if need be one that a parked session gives up for it."""
        if self._slots_taken >= self._slots and self._parked:
            self._let_go(next(iter(self._parked)), admit=False)
        return self._slots_taken < self._slots

    @property
    def _slots(self) -> int:
        """Sessions at once: as many as are allowed, and as fit into memory."""
        most = None if self._pipeline is None else self._pipeline.most_streams
        return min(self._settings.max_sessions, most or self._settings.max_sessions)

    @property
    def _waiting(self) -> list[tuple[asyncio.Future[None], OnPosition]]:
        """The queue without those that were just admitted or have left, but have yet to run."""
        return [entry for entry in self._queue if not entry[0].done()]

    def _admit(self) -> None:
        if self._pipeline is None or self._closing:
            return
        for slot, on_position in self._waiting:
            if not self._has_free_slot():
                return
            # Counted here and not when its task runs: until then another client could take it.
            self._slots_taken += 1
            on_position(0)
            slot.set_result(None)

    def _release_slot(self) -> None:
        self._slots_taken -= 1
        self._admit()

    def _let_go(self, key: bytes, *, admit: bool = True) -> None:
        """Forget a session. Its memory is freed on the render thread, and so after its last chunk,
        which may be in the making; a new session's memory is taken there too, and so after that.
        """
        timer = self._parked.pop(key, None)
        if timer is not None:
            timer.cancel()
        session = self._sessions.pop(key)
        self._thread.put(session.video.close)
        self._slots_taken -= 1
        if admit:
            self._admit()


def _key(token: bytes) -> bytes:
    """What a session is looked up by: a hash, so that the time a look-up takes tells nothing."""
    return hashlib.sha256(token).digest()


def _stopping() -> RefusedError:
    return RefusedError(Refusal.STOPPING, "the server stops; connect again later")
