"""Everything that one stream sends, in order, and the count of each answer once it has left.

Most messages become bytes at once. A rendered frame is encoded off the event loop just before it
leaves, so that at most one is encoded ahead of a client that reads slowly.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from c2r.wire import (
    Accepted,
    DroppedFrame,
    DropReason,
    ErrorCode,
    FailedFrame,
    Fault,
    FrameReply,
    RenderedEncoder,
    RenderedFrame,
    pack_response,
)
from c2r.wire.convert import ResponseBody
from c2r.wire.events import Ended
from c2r.wire.replies import StageTimes
from runtime.core import ChunkRequest, ReceivedFrame, RenderedChunk
from runtime.session.session import Ending
from runtime.session.stats import SessionStats

log = logging.getLogger(__name__)


class Pipe(Protocol):
    """Messages of one stream, as bytes. Both raise `ConnectionError` once it is broken."""

    async def read(self) -> bytes | None:
        """The client's next message; None when it closed its side."""
        ...

    async def write(self, data: bytes) -> None:
        """Send one message; returns when the next may be given."""
        ...


@dataclass(frozen=True, eq=False)
class _Answer:
    """A reply and when its frame's message had arrived; `keyframe`: it is encoded on its own."""

    reply: FrameReply
    arrived_s: float
    keyframe: bool = False


class Writer:
    """Sends to one stream. `window`: frames that the client may have unanswered."""

    def __init__(
        self, accepted: Accepted, pipe: Pipe, pool: Executor, stats: SessionStats, window: int
    ) -> None:
        self.last_sent_s = perf_counter()
        self.keyframe_wanted = False
        self._encoder = RenderedEncoder(accepted)
        self._pipe, self._pool, self._stats = pipe, pool, stats
        self._window = window
        # Unbounded, since the render loop must not wait for a client: `room` bounds it instead,
        # at what is in flight when the stream stops being read.
        self._queue: asyncio.Queue[_Answer | bytes | Ending | None] = asyncio.Queue()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def empty(self) -> bool:
        """Nothing waits to be sent."""
        return self._queue.empty()

    @property
    def has_room(self) -> bool:
        """Replies do not pile up."""
        return self._room.is_set()

    def send(self, body: ResponseBody) -> None:
        """Send anything but a frame's reply."""
        self._put(pack_response(body).SerializeToString())

    def answer(self, reply: FrameReply, arrived_s: float, *, keyframe: bool = False) -> None:
        """Send a frame's reply; `keyframe`: encode its frame so that it can be decoded alone."""
        self._put(_Answer(reply, arrived_s, keyframe))

    def _put(self, item: _Answer | bytes) -> None:
        """All that a client makes a server send counts, or acknowledgements would pile up."""
        self._queue.put_nowait(item)
        if self._queue.qsize() >= 2 * self._window:
            self._room.clear()

    def answer_chunk(self, request: ChunkRequest, chunk: RenderedChunk, index: int) -> None:
        """Send the frames of a chunk, the `index`th of its session."""
        for place, received in enumerate(request.frames):
            frame = received.frame
            reply = RenderedFrame(
                frame.frame_id,
                frame.capture_time_us,
                rgb=chunk.frames[place],
                chunk_index=index,
                stages=_stage_times(received, chunk),
            )
            self.answer(reply, received.arrived_s, keyframe=request.first and place == 0)

    def drop(self, frames: Iterable[ReceivedFrame], reason: DropReason) -> None:
        """Answer frames that are not rendered."""
        for received in frames:
            frame = received.frame
            reply = DroppedFrame(frame.frame_id, frame.capture_time_us, reason)
            self.answer(reply, received.arrived_s)

    def fail(self, frames: Iterable[ReceivedFrame], fault: Fault) -> None:
        """Answer frames that the server could not render."""
        for received in frames:
            frame = received.frame
            reply = FailedFrame(frame.frame_id, frame.capture_time_us, fault)
            self.answer(reply, received.arrived_s)

    def close(self, ending: Ending) -> None:
        """The last message: `Ended`, unless a status says it all; then `run` is over."""
        if ending.is_told:
            self._queue.put_nowait(ending)
        self._queue.put_nowait(None)

    async def room(self) -> None:
        """Wait while replies pile up: a client that does not read is not read from either."""
        await self._room.wait()

    async def run(self) -> None:
        """Send until closed."""
        while (item := await self._queue.get()) is not None:
            try:
                await self._write(item)
            except BaseException:
                self._count_lost(item)
                raise
            if self._queue.qsize() < self._window:
                self._room.set()

    def count_unsent(self) -> None:
        """Account for answers that will never leave."""
        while not self._queue.empty():
            self._count_lost(self._queue.get_nowait())

    async def _write(self, item: _Answer | bytes | Ending) -> None:
        if isinstance(item, _Answer):
            reply, data, total_ms = await self._encoded(item)
            await self._write_bytes(data)
            self._stats.answer(reply, total_ms)
        elif isinstance(item, Ending):
            # Counted here and not when the stream ended: all answers have left by now.
            numbers = self._stats.statistics(perf_counter())
            ended = Ended(item.reason, item.message, item.resumable, numbers)
            await self._write_bytes(pack_response(ended).SerializeToString())
        else:
            await self._write_bytes(item)

    async def _write_bytes(self, data: bytes) -> None:
        await self._pipe.write(data)
        self.last_sent_s = perf_counter()

    async def _encoded(self, answer: _Answer) -> tuple[FrameReply, bytes, float]:
        if not isinstance(answer.reply, RenderedFrame):
            return self._encode(answer, keyframe=False)
        # A wish for a key frame goes to the next frame that leaves, not to the next rendered one:
        # those that wait here already would reach the client undecodable.
        keyframe, self.keyframe_wanted = answer.keyframe or self.keyframe_wanted, False
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: self._encode(answer, keyframe))

    def _encode(self, answer: _Answer, keyframe: bool) -> tuple[FrameReply, bytes, float]:
        """The reply that leaves, as bytes, and its latency; what cannot be encoded is a fault."""
        begun_s, reply = perf_counter(), answer.reply
        try:
            response = self._encoder.encode(reply, keyframe=keyframe)
        except Exception:
            log.exception("frame %d could not be encoded", reply.frame_id)
            fault = Fault(ErrorCode.INTERNAL, "the server failed to encode the frame")
            reply = FailedFrame(reply.frame_id, reply.capture_time_us, fault)
            response = self._encoder.encode(reply)
        now_s = perf_counter()
        total_ms = (now_s - answer.arrived_s) * 1000
        if isinstance(reply, RenderedFrame):
            stages = response.frame.rendered.stages
            stages.encode_ms, stages.total_ms = (now_s - begun_s) * 1000, total_ms
        return reply, response.SerializeToString(), total_ms

    def _count_lost(self, item: _Answer | bytes | Ending | None) -> None:
        """A rendered frame that never left counts as dropped."""
        if isinstance(item, _Answer):
            reply = item.reply
            if isinstance(reply, RenderedFrame):
                reply = DroppedFrame(reply.frame_id, reply.capture_time_us, DropReason.ENDED)
            self._stats.answer(reply, 0.0)


def _stage_times(received: ReceivedFrame, chunk: RenderedChunk) -> StageTimes:
    """The way to the device counts as DINO's, the way back as the VAE's."""
    stages = chunk.stages_ms
    return StageTimes(
        decode_ms=(received.decoded_s - received.arrived_s) * 1000,
        queue_ms=max(0.0, chunk.begun_s - received.decoded_s) * 1000,
        dino_ms=stages["upload"] + stages["dino"],
        adapter_ms=stages["control"],
        denoise_ms=stages["denoise"],
        vae_ms=stages["vae"] + stages["download"],
        kv_write_ms=chunk.kv_write_ms,
    )
