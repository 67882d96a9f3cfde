"""One stream of a session: its parts, run beside each other until it ends in good order.

Three tasks: the reader, the writer and a watch on the clock. Any of them, the renderer or the
server may give a reason to end; the first one counts. A frame's own way is not here: `reader.py`
hands it to `chunk_queue.py`, which answers it through `writer.py`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import Executor
from time import perf_counter
from typing import Any

from c2r.wire import Accepted, WireError
from c2r.wire.convert import ResponseBody
from c2r.wire.events import EndReason, EndRequest, Flow, Keepalive
from runtime.pipeline.render_thread import RenderScheduler
from runtime.session.chunk_queue import ChunkQueue
from runtime.session.reader import Reader
from runtime.session.session import Ending, Refusal, RefusedError, Session
from runtime.session.settings import ServeSettings
from runtime.session.writer import Pipe, Writer

log = logging.getLogger(__name__)


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
        scheduler: RenderScheduler,
        pool: Executor,
        settings: ServeSettings,
    ) -> None:
        self.parks = True
        self._session, self._accepted, self._settings = session, accepted, settings
        self._window = accepted.max_in_flight_chunks * accepted.chunk_frames
        self.writer = Writer(accepted, pipe, pool, session.stats, self._window)
        self.chunks = ChunkQueue(
            session,
            accepted,
            self.writer,
            scheduler,
            blend_chunks=settings.blend_chunks,
            end=self.end,
        )
        self.reader = Reader(
            session, accepted, minor, pipe, pool, self.chunks, self.writer, self._finish
        )
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()

    async def run(self, notices: Iterable[ResponseBody]) -> None:
        """Send `accepted` and the notices, then serve until the end.

        Raises what ends the stream with a status: `WireError`, `RefusedError`, `ConnectionError`.
        """
        for body in (self._accepted, *notices, Flow(self._window)):
            self.writer.send(body)
        writing, *others = (
            asyncio.create_task(self._guarded(work))
            for work in (self.writer.run(), self.reader.run(), self._watch())
        )
        try:
            ending = await self._ending
            self.parks = ending.resumable
            self.chunks.close()
            self.writer.close(ending)
            # What is queued may still leave, and in bounded time: the network holds the rest.
            await asyncio.wait([writing], timeout=self._settings.flush_s)
            if ending.error is not None:
                raise ending.error
            if not writing.done():
                message = "the client does not read; read replies while sending frames"
                raise RefusedError(Refusal.NOT_READING, message)
        finally:
            # Also the way of a call that gRPC cancels since its client is gone: `close` answers
            # what waits, so that every frame is counted, and `parks` keeps its first value.
            for task in (writing, *others):
                task.cancel()
            await asyncio.gather(writing, *others, return_exceptions=True)
            self.chunks.close()
            self.writer.count_unsent()

    def end(self, ending: Ending) -> None:
        """End the stream for this reason, unless it is ending already."""
        if not self._ending.done():
            self._ending.set_result(ending)
            self.reader.stop()

    def take_over(self) -> None:
        """Another stream goes on with the session."""
        self.end(Ending(EndReason.TAKEN_OVER, "another stream resumed this session"))

    def drain(self) -> None:
        """The server stops: drop what waits, finish what is being rendered."""
        ending = Ending(EndReason.SHUTDOWN, "the server stops; connect again later")
        self.chunks.finish(ending, discard=True)

    def restart(self) -> None:
        """The video lost its state: the next chunk is a first one."""
        self.chunks.restart()

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

    def _finish(self, request: EndRequest, message: str, resumable: bool) -> None:
        """The client ended the stream: render what waits, unless it says otherwise."""
        resumable = resumable and self._settings.resume_grace_s > 0
        # Decided now: the client may be gone, and this call cancelled, before the last chunk is
        # done.
        self.parks = resumable
        ending = Ending(EndReason.CLIENT, message, resumable)
        self.chunks.finish(ending, discard=request.discard_pending)

    async def _watch(self) -> None:
        idle_s, keepalive_s = self._settings.idle_timeout_s, self._settings.keepalive_s
        while True:
            now_s = perf_counter()
            if self.chunks.busy or self.chunks.finishing is not None:
                self.reader.last_received_s = now_s  # the client waits for the server
            if now_s >= self.reader.last_received_s + idle_s:
                resumable = self._settings.resume_grace_s > 0
                message = f"nothing came for {idle_s:g} s; send frames or feedback to stay"
                self.end(Ending(EndReason.IDLE, message, resumable))
                return
            if now_s >= self.writer.last_sent_s + keepalive_s and self.writer.empty:
                self.writer.send(Keepalive(time.time_ns() // 1000))
            await asyncio.sleep(min(1.0, idle_s / 4, keepalive_s / 4))
