"""One stream of a session: reads frames, answers each, and ends in good order.

Three tasks run beside each other: one reads (and decodes off the loop, in order), one sends, one
watches the clock. Whoever finds a reason to end says so with `end`; the first one counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import Executor
from typing import Any

from c2r.wire import (
    Accepted,
    CoarseFrame,
    DropReason,
    ErrorCode,
    FailedFrame,
    Fault,
    WireError,
)
from c2r.wire.convert import ResponseBody
from c2r.wire.events import (
    ControlAck,
    ControlChange,
    EndReason,
    EndRequest,
    Feedback,
    Flow,
    Keepalive,
    SessionWarning,
    WarningCode,
)
from c2r.wire.formats import Codec
from runtime.pipeline.render_thread import RenderScheduler
from runtime.session.chunk_queue import Chunks
from runtime.session.inbox import Waiting
from runtime.session.packing import Answer
from runtime.session.reader import Arrival, Incoming
from runtime.session.session import NO_NEGATIVE_PROMPT, Ending, Session
from runtime.session.settings import ServeSettings
from runtime.session.status import Refusal, RefusedError
from runtime.session.writer import Outbox, Pipe

log = logging.getLogger(__name__)

BREAK_S = 0.05
"""A broken connection looks like a closed one for a moment; wait before believing the latter."""


class SessionStream:
    """Serves one stream until it ends. `minor`: the client's protocol version.

    `parks`: whether the session waits for its client to return when the stream is over.
    """

    def __init__(
        self,
        session: Session,
        accepted: Accepted,
        minor: int,
        pipe: Pipe,
        desk: RenderScheduler,
        pool: Executor,
        settings: ServeSettings,
    ) -> None:
        self.parks = True
        self._session, self._accepted, self._settings = session, accepted, settings
        self._pipe, self._pool = pipe, pool
        self._window = accepted.max_in_flight_chunks * accepted.chunk_frames
        self._incoming = Incoming(accepted, minor)
        self._outbox = Outbox(accepted, pipe, pool, session.stats, self._window)
        self._chunks = Chunks(
            session,
            accepted,
            self._outbox,
            desk,
            blend_chunks=settings.blend_chunks,
            end=self.end,
        )
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._lost_key = False
        self._heard_s = time.perf_counter()

    async def run(self, notices: Iterable[ResponseBody]) -> None:
        """Say `accepted` and the notices, then serve until the end.

        Raises what ends the stream with a status: `WireError`, `RefusedError`, `ConnectionError`.
        """
        for body in (self._accepted, *notices, Flow(self._window)):
            self._outbox.say(body)
        works = (self._outbox.run(), self._read(), self._watch())
        tasks = [asyncio.create_task(self._guarded(work)) for work in works]
        try:
            ending = await self._ending
            self.parks = ending.resumable
            self._chunks.close()
            self._outbox.close(ending)
            await asyncio.wait(tasks[:1], timeout=self._settings.flush_s)
            if ending.error is not None:
                raise ending.error
            if not tasks[0].done():
                message = "the client does not read; read replies while sending frames"
                raise RefusedError(Refusal.NOT_READING, message)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._chunks.close()
            self._outbox.count_unsent()

    def end(self, ending: Ending) -> None:
        """End the stream for this reason, unless it is ending already."""
        if not self._ending.done():
            self._ending.set_result(ending)

    def take_over(self) -> None:
        """Another stream goes on with the session."""
        self.end(Ending(EndReason.TAKEN_OVER, "another stream resumed this session"))

    def drain(self) -> None:
        """The server stops: drop what waits, finish what is being rendered."""
        ending = Ending(EndReason.SHUTDOWN, "the server stops; connect again later")
        self._chunks.finish(ending, discard=True)

    def begin_anew(self) -> None:
        """The video lost its past: the next chunk is a first one."""
        self._chunks.begin_anew()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except (WireError, RefusedError) as error:
            self.end(Ending(EndReason.FAULT, str(error), error=error))
        except ConnectionError as error:
            self.end(Ending(EndReason.FAULT, str(error), resumable=True, error=error))
        except Exception as error:
            log.exception("session %s: the server is at fault", self._session.name)
            refused = RefusedError(Refusal.FAULT, "the server failed; its log says why")
            refused.__cause__ = error
            self.end(Ending(EndReason.FAULT, refused.message, error=refused))

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        while (data := await self._pipe.read()) is not None:
            self._heard_s = arrived_s = time.perf_counter()
            rendered = self._session.stats.rendered
            arrival = await loop.run_in_executor(
                self._pool, self._incoming.read, data, arrived_s, rendered
            )
            if self._ending.done():
                return
            self._receive(arrival, arrived_s)
            await self._outbox.room()
        await asyncio.sleep(BREAK_S)
        if self._chunks.finishing is None:
            self._finish(EndRequest(), "the client closed its side", resumable=True)

    def _receive(self, arrival: Arrival | None, arrived_s: float) -> None:
        match arrival:
            case CoarseFrame() | FailedFrame():
                self._receive_frame(arrival, arrived_s)
            case ControlChange():
                self._chunks.change(arrival)
                if arrival.negative_prompt and self._session.warns(WarningCode.NO_EFFECT):
                    warning = SessionWarning(WarningCode.NO_EFFECT, NO_NEGATIVE_PROMPT)
                    self._outbox.say(warning)
            case ControlAck():
                self._outbox.say(arrival)
            case Feedback():
                self._outbox.keyframe_wanted |= arrival.keyframe_wanted
            case EndRequest():
                self._finish(arrival, "the client ended it", resumable=False)

    def _receive_frame(self, frame: CoarseFrame | FailedFrame, arrived_s: float) -> None:
        self._session.stats.received += 1
        finishing = self._chunks.finishing
        self._note_key(frame)
        if isinstance(frame, FailedFrame):
            self._outbox.answer(Answer(frame, arrived_s))
        elif finishing is None:
            self._chunks.add(frame, arrived_s)
        elif finishing.reason is EndReason.SHUTDOWN:
            self._outbox.drop([Waiting(frame, arrived_s)], DropReason.ENDED)
        else:
            fault = Fault(ErrorCode.OUT_OF_ORDER, "came after end; open a new session")
            self._outbox.fail([Waiting(frame, arrived_s)], fault)

    def _note_key(self, frame: CoarseFrame | FailedFrame) -> None:
        """In H.264 a frame that could not be read takes the next ones with it: ask for a key."""
        lost = isinstance(frame, FailedFrame)
        if self._accepted.codecs.coarse is Codec.H264 and lost != self._lost_key:
            self._lost_key = lost
            waiting = len(self._chunks.inbox)
            self._outbox.say(Flow(self._window, inbox_frames=waiting, keyframe_wanted=lost))

    def _finish(self, request: EndRequest, message: str, *, resumable: bool) -> None:
        resumable = resumable and self._settings.resume_grace_s > 0
        # Decided now: the client may be gone by the time the last chunk is done.
        self.parks = resumable
        ending = Ending(EndReason.CLIENT, message, resumable)
        self._chunks.finish(ending, discard=request.discard_pending)

    async def _watch(self) -> None:
        idle_s, keepalive_s = self._settings.idle_timeout_s, self._settings.keepalive_s
        while True:
            now_s = time.perf_counter()
            if self._chunks.busy or self._chunks.finishing is not None:
                self._heard_s = now_s  # it is the client who waits
            if now_s >= self._heard_s + idle_s:
                resumable = self._settings.resume_grace_s > 0
                message = f"nothing came for {idle_s:g} s; send frames or feedback to stay"
                self.end(Ending(EndReason.IDLE, message, resumable))
                return
            if now_s >= self._outbox.said_s + keepalive_s and self._outbox.empty:
                self._outbox.say(Keepalive(time.time_ns() // 1000))
            await asyncio.sleep(min(1.0, idle_s / 4, keepalive_s / 4))
