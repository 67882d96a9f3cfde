"""Everything that one stream sends, in order: what is said at once, and answers that are packed
off the event loop just before they leave. Counts each answer when it has left.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from concurrent.futures import Executor
from typing import Protocol

from c2r.wire import Accepted, DroppedFrame, DropReason, FailedFrame, Fault, pack_response
from c2r.wire.convert import ResponseBody
from c2r.wire.events import Ended
from c2r.wire.replies import RenderedFrame
from runtime.session.inbox import Waiting
from runtime.session.packing import Answer, Outgoing, Packed
from runtime.session.session import Ending
from runtime.session.stats import SessionStats


class Pipe(Protocol):
    """Messages of one stream, as bytes. Both raise `ConnectionError` once it is broken."""

    async def read(self) -> bytes | None:
        """The client's next message; None when it closed its side."""
        ...

    async def write(self, data: bytes) -> None:
        """Send one message; returns when the next may be given."""
        ...


class Outbox:
    """Sends to one stream. `window`: frames that the client may have unanswered."""

    def __init__(
        self, accepted: Accepted, pipe: Pipe, pool: Executor, stats: SessionStats, window: int
    ) -> None:
        self.said_s = time.perf_counter()
        self.keyframe_wanted = False
        self._outgoing = Outgoing(accepted)
        self._pipe, self._pool, self._tally = pipe, pool, stats
        self._window = window
        self._queue: asyncio.Queue[Answer | bytes | Ending | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def empty(self) -> bool:
        """Nothing waits to be sent."""
        return self._queue.empty()

    def say(self, body: ResponseBody) -> None:
        """Send anything but a frame's reply."""
        self._queue.put_nowait(pack_response(body).SerializeToString())

    def answer(self, answer: Answer) -> None:
        """Send a frame's reply."""
        self._queue.put_nowait(answer)
        if self._queue.qsize() >= 2 * self._window:
            self._room.clear()

    def drop(self, items: Iterable[Waiting], reason: DropReason) -> None:
        """Answer frames that are passed over."""
        for item in items:
            frame = item.frame
            reply = DroppedFrame(frame.frame_id, frame.capture_time_us, reason)
            self.answer(Answer(reply, item.arrived_s))

    def fail(self, items: Iterable[Waiting], fault: Fault) -> None:
        """Answer frames that the server could not render."""
        for item in items:
            frame = item.frame
            reply = FailedFrame(frame.frame_id, frame.capture_time_us, fault)
            self.answer(Answer(reply, item.arrived_s))

    def close(self, ending: Ending) -> None:
        """The last word: `Ended`, unless a status says it; then `run` is over."""
        if ending.error is None:
            self._queue.put_nowait(ending)
        self._queue.put_nowait(None)

    async def room(self) -> None:
        """Wait while replies pile up: a client that does not read is not read from either."""
        await self._room.wait()

    async def run(self) -> None:
        """Send until closed."""
        while (item := await self._queue.get()) is not None:
            try:
                await self._send(item)
            except BaseException:
                self._count_lost(item)
                raise
            if self._queue.qsize() < self._window:
                self._room.set()

    def count_unsent(self) -> None:
        """Account for answers that will never leave."""
        while not self._queue.empty():
            self._count_lost(self._queue.get_nowait())

    async def _send(self, item: Answer | bytes | Ending) -> None:
        if isinstance(item, Answer):
            packed = await self._pack(item)
            await self._write(packed.data)
            self._tally.answer(packed.answer.reply, packed.total_ms)
        elif isinstance(item, Ending):
            numbers = self._tally.statistics(time.perf_counter())
            ended = Ended(item.reason, item.message, item.resumable, numbers)
            await self._write(pack_response(ended).SerializeToString())
        else:
            await self._write(item)

    async def _pack(self, answer: Answer) -> Packed:
        if not isinstance(answer.reply, RenderedFrame):
            return self._outgoing.pack(answer)
        if self.keyframe_wanted:
            answer = Answer(answer.reply, answer.arrived_s, keyframe=True)
            self.keyframe_wanted = False
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, self._outgoing.pack, answer)

    async def _write(self, data: bytes) -> None:
        await self._pipe.write(data)
        self.said_s = time.perf_counter()

    def _count_lost(self, item: Answer | bytes | Ending | None) -> None:
        """A picture that never left is as good as dropped."""
        if isinstance(item, Answer):
            reply = item.reply
            if isinstance(reply, RenderedFrame):
                reply = DroppedFrame(reply.frame_id, reply.capture_time_us, DropReason.ENDED)
            self._tally.answer(reply, 0.0)
