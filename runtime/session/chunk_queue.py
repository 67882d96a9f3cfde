"""The chunks of one stream: requested in its turns, rendered, answered. At most one is out.

A stream's side of the scheduler. Lives on the event loop; knows no bytes and no tensor.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

from c2r.wire import Accepted, DropReason, ErrorCode, Fault
from c2r.wire.events import ControlAck, ControlChange, EndReason, SessionWarning, WarningCode
from runtime.core import ChunkRequest, ReceivedFrame, RenderedChunk
from runtime.pipeline.finite import NotFiniteError
from runtime.pipeline.pipeline import Video
from runtime.pipeline.render_thread import RenderScheduler
from runtime.session.changes import PendingChange, PendingChanges
from runtime.session.inbox import Inbox
from runtime.session.session import (
    MAX_FAILURES,
    Ending,
    Refusal,
    RefusedError,
    Session,
    changed_parameters,
)
from runtime.session.writer import Writer

log = logging.getLogger(__name__)


class ChunkQueue:
    """A `RenderJob`. `end` is told when the last chunk is done, or no more can be rendered.

    `blend_chunks`: of a prompt change that names none; 0: the change resets the stream. A change
    waits, with the chunks that it is blended in over, for the request that first carries it; it is
    acknowledged when that chunk is rendered, with the chunk's first frame.
    """

    def __init__(
        self,
        session: Session,
        accepted: Accepted,
        writer: Writer,
        scheduler: RenderScheduler,
        *,
        blend_chunks: int,
        end: Callable[[Ending], None],
    ) -> None:
        window = accepted.max_in_flight_chunks * accepted.chunk_frames
        first, later = accepted.first_chunk_frames, accepted.chunk_frames
        self.inbox = Inbox(first, later, bound=window, first=session.at_start)
        if session.needs_reset:
            self.inbox.restart(reset=True)
        self._session, self._writer, self._scheduler = session, writer, scheduler
        self._blend_chunks, self._end = blend_chunks, end
        self._slow_after, self._superseded = later, 0
        self._out: ChunkRequest | None = None
        self._finishing: Ending | None = None
        self._closed = False
        self._changes = PendingChanges()

    @property
    def finishing(self) -> Ending | None:
        """How the stream will end when its last chunk is done; None while it takes frames."""
        return self._finishing

    @property
    def busy(self) -> bool:
        """A chunk is being rendered: the client may be waiting for it."""
        return self._out is not None

    def add(self, received: ReceivedFrame) -> None:
        """A frame to render."""
        for old, reason in self.inbox.add(received):
            self._writer.drop([old], reason)
            self._superseded += reason is DropReason.SUPERSEDED
        if self._superseded >= self._slow_after and self._session.warns(WarningCode.SLOW):
            message = "frames come faster than they are rendered; some are dropped"
            self._writer.send(SessionWarning(WarningCode.SLOW, message))
        self._ask()

    def change(self, change: ControlChange) -> None:
        """Change parameters from the next chunk on; see `Session.update_params` for prompts."""
        before = self._session.params
        self._session.update_params(changed_parameters(before, change, self._blend_chunks))
        same = change.prompt in (None, before.prompt)
        blend = 1 if same else self._session.params.blend_chunks
        if (old := self._changes.add(change, blend)) is not None:
            self._refuse(old, "newer changes took its place before a frame came")
        if self._session.needs_reset:
            self.inbox.restart(reset=True)
            self._ask()

    def finish(self, ending: Ending, *, discard: bool) -> None:
        """End when all that waits is rendered; `discard`: when the chunk that is out is."""
        self._finishing = ending
        if discard:
            self._writer.drop(self.inbox.clear(), DropReason.ENDED)
        self._ask()
        self._end_if_finished()

    def restart(self) -> None:
        """The video lost its state: the next chunk is a first one."""
        self.inbox.restart()
        self._ask()

    def close(self) -> None:
        """Answer all that is left; the chunk that is out is rendered, but not waited for."""
        self._closed = True
        if self._out is not None:
            self._writer.drop(self._out.frames, DropReason.ENDED)
            self._out = None
        self._writer.drop(self.inbox.clear(), DropReason.ENDED)
        for change in self._changes.clear():
            self._refuse(change, "the session ended before its next chunk")

    # RenderJob

    @property
    def waits(self) -> bool:
        """A chunk can be rendered now."""
        if self._closed or self._out is not None:
            return False
        return self.inbox.ready or (self._finishing is not None and len(self.inbox) > 0)

    def next_chunk(self) -> tuple[Video, ChunkRequest]:
        """The chunk to render now, made of the frames that wait now."""
        request = self.inbox.take(perf_counter(), partial=self._finishing is not None)
        assert request is not None, "the scheduler asks only when a chunk waits"
        self._out = replace(request, params=self._session.params)
        # The video is past its start once the thread has rendered this. Should that fail,
        # `record_failure` says so again; the session may be parked or resumed in between.
        self._session.at_start = self._session.needs_reset = False
        self._session.rendered_prompt = self._session.params.prompt
        self._changes.take()
        return self._session.video, self._out

    def rendered(self, chunk: RenderedChunk) -> None:
        """Answer the frames of the chunk; the acknowledgements of its changes go first."""
        request, self._out = self._out, None
        index = self._session.chunk_done(first=request is None or request.first)
        if request is None:
            return  # closed meanwhile: its frames are answered as dropped already
        self.inbox.done(perf_counter())
        first_id = request.frames[0].frame.frame_id
        for change in self._changes.rendered():
            self._writer.send(ControlAck(change.control_id, first_id, change.blend_chunks))
        self._writer.answer_chunk(request, chunk, index)
        self._end_if_finished()

    def failed(self, error: Exception) -> None:
        """Say so for each frame of the chunk; its changes wait again."""
        request, self._out = self._out, None
        self._changes.failed()
        if request is not None:
            self.inbox.failed()
            self._writer.fail(request.frames, Fault(ErrorCode.INTERNAL, _public(error)))
        self._record_failure("a chunk failed", error)

    def on_state_lost(self, error: Exception) -> None:
        """The frames have left; the video restarts with the next chunk."""
        self._record_failure("writing keys and values failed", error)

    def _refuse(self, change: PendingChange, why: str) -> None:
        fault = Fault(ErrorCode.OUT_OF_ORDER, why)
        self._writer.send(ControlAck(change.control_id, refused=fault))

    def _record_failure(self, what: str, error: Exception) -> None:
        log.error("session %s: %s", self._session.name, what, exc_info=error)
        # Told to the session and not to this stream: by now another one may have resumed it, and
        # the next chunk of that one has to be a first one.
        self._session.record_failure()
        message = f"{_public(error)}; the stream is reset"
        self._writer.send(SessionWarning(WarningCode.RESTARTED, message))
        if self._session.gave_up:
            message = f"the renderer failed {MAX_FAILURES} times in a row; open a new session"
            refused = RefusedError(Refusal.FAULT, message)
            self._end(Ending(EndReason.FAULT, message, error=refused))
        self._end_if_finished()

    def _ask(self) -> None:
        if self.waits:
            self._scheduler.ask(self)

    def _end_if_finished(self) -> None:
        if self._finishing is not None and self._out is None and len(self.inbox) == 0:
            self._end(self._finishing)


def _public(error: Exception) -> str:
    """What a client is told of a failure: only the log has the inside of the server."""
    if isinstance(error, NotFiniteError):
        return str(error)
    return "the renderer failed on this chunk; the server's log says why"
