"""The chunks of one stream: gathered from its frames, rendered in its turns, answered.

Stands between the event loop's side of a session and the desk. At most one chunk is out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from c2r.wire import Accepted, CoarseFrame, DropReason, ErrorCode, Fault
from c2r.wire.events import ControlAck, ControlChange, EndReason, SessionWarning, WarningCode
from runtime.pipeline.render_thread import RenderScheduler
from runtime.pipeline.video_stream import ChunkOrder, Painted, Video
from runtime.session.inbox import Gathered, Inbox, Waiting
from runtime.session.packing import rendered_answers
from runtime.session.session import Ending, Session, look_changed
from runtime.session.writer import Outbox

log = logging.getLogger(__name__)

MAX_FAULTS = 3
"""Chunks in a row that may fail before the session is given up."""


class Chunks:
    """A customer of the desk. `end` is told when the last chunk is done, or no more can be.

    `blend_chunks`: of a prompt change that does not say; 0: the stream begins anew. Changes wait
    with the chunks that each is blended in over.
    """

    def __init__(
        self,
        session: Session,
        accepted: Accepted,
        outbox: Outbox,
        desk: RenderScheduler,
        *,
        blend_chunks: int,
        end: Callable[[Ending], None],
    ) -> None:
        window = accepted.max_in_flight_chunks * accepted.chunk_frames
        first, later = accepted.first_chunk_frames, accepted.chunk_frames
        self.inbox = Inbox(first, later, bound=window, first=session.fresh)
        if session.stale:
            self.inbox.begin_anew(reset=True)
        self._session, self._outbox, self._desk = session, outbox, desk
        self._blend_chunks, self._end = blend_chunks, end
        self._slow_after, self._superseded = later, 0
        self._out: Gathered | None = None
        self._finishing: Ending | None = None
        self._closed = False
        self._changes: list[tuple[ControlChange, int]] = []
        self._changes_out: list[tuple[ControlChange, int]] = []

    @property
    def finishing(self) -> Ending | None:
        """How the stream will end when its last chunk is done; None while it takes frames."""
        return self._finishing

    @property
    def busy(self) -> bool:
        """A chunk is being rendered: the client may well be waiting for it."""
        return self._out is not None

    def add(self, frame: CoarseFrame, arrived_s: float) -> None:
        """A frame to render."""
        now_s = time.perf_counter()
        for old, reason in self.inbox.add(
            Waiting(frame, arrived_s, now_s, (now_s - arrived_s) * 1000)
        ):
            self._outbox.drop([old], reason)
            self._superseded += reason is DropReason.SUPERSEDED
        if self._superseded >= self._slow_after and self._session.warns(WarningCode.SLOW):
            message = "frames come faster than they are rendered; some are passed over"
            self._outbox.say(SessionWarning(WarningCode.SLOW, message))
        self._ask()

    def change(self, change: ControlChange) -> None:
        """A change from the next chunk on; a new prompt that is not blended in begins it anew."""
        before = self._session.look
        self._session.take(look_changed(before, change, self._blend_chunks))
        same = change.prompt in (None, before.prompt)
        self._changes.append((change, 1 if same else self._session.look.blend_chunks))
        if self._session.stale:
            self.inbox.begin_anew(reset=True)
            self._ask()

    def finish(self, ending: Ending, *, discard: bool) -> None:
        """End when all that waits is rendered; `discard`: when the chunk that is out is."""
        self._finishing = ending
        if discard:
            self._outbox.drop(self.inbox.clear(), DropReason.ENDED)
        self._ask()
        self._end_if_finished()

    def begin_anew(self) -> None:
        """The video lost its past: the next chunk is a first one."""
        self.inbox.begin_anew()
        self._ask()

    def close(self) -> None:
        """Answer what nobody will come to; the chunk that is out is no longer waited for."""
        self._closed = True
        if self._out is not None:
            self._outbox.drop(self._out.items, DropReason.ENDED)
            self._out = None
        self._outbox.drop(self.inbox.clear(), DropReason.ENDED)
        fault = Fault(ErrorCode.OUT_OF_ORDER, "the session ended before its next chunk")
        for change, _ in (*self._changes_out, *self._changes):
            self._outbox.say(ControlAck(change.control_id, refused=fault))
        self._changes, self._changes_out = [], []

    # The desk's customer

    @property
    def waits(self) -> bool:
        """A chunk can be rendered now."""
        if self._closed or self._out is not None:
            return False
        return self.inbox.ready or (self._finishing is not None and len(self.inbox) > 0)

    def next_turn(self) -> tuple[Video, ChunkOrder]:
        """The chunk to render now, made of the frames that wait now."""
        out = self.inbox.take(time.perf_counter(), partial=self._finishing is not None)
        assert out is not None, "the desk asks only when a chunk waits"
        self._out = out
        self._session.fresh = self._session.stale = False
        self._session.painted = self._session.look.prompt
        self._changes_out += self._changes
        self._changes = []
        images = [item.frame.rgb for item in out.items]
        order = ChunkOrder(images, out.size, out.first, out.reset, self._session.look)
        return self._session.video, order

    def painted(self, painted: Painted) -> None:
        """Answer the frames of the chunk; the acknowledgements of its changes go first."""
        out, self._out = self._out, None
        chunk_index = self._session.chunk_done(first=out is None or out.first)
        if out is None:
            return
        self.inbox.done(time.perf_counter())
        first_id = out.items[0].frame.frame_id
        for change, blend in self._changes_out:
            self._outbox.say(ControlAck(change.control_id, first_id, blend))
        self._changes_out = []
        for answer in rendered_answers(out.items, painted, chunk_index, keyframe=out.first):
            self._outbox.answer(answer)
        self._end_if_finished()

    def failed(self, error: Exception) -> None:
        """The chunk came to nothing: say so for each of its frames; its changes wait again."""
        out, self._out = self._out, None
        self._changes = [*self._changes_out, *self._changes]
        self._changes_out = []
        if out is not None:
            self.inbox.failed()
            message = "the renderer failed on this chunk; the server's log says why"
            self._outbox.fail(out.items, Fault(ErrorCode.INTERNAL, message))
        self._stumble("a chunk failed", error)

    def forgot(self, error: Exception) -> None:
        """The video lost its past after the pictures had left."""
        self._stumble("writing keys and values failed", error)

    def _stumble(self, what: str, error: Exception) -> None:
        log.error("session %s: %s", self._session.name, what, exc_info=error)
        if self._session.stumbled() >= MAX_FAULTS:
            message = f"the renderer failed {MAX_FAULTS} times in a row; open a new session"
            self._end(Ending(EndReason.FAULT, message))
        self._end_if_finished()

    def _ask(self) -> None:
        if self.waits:
            self._desk.ask(self)

    def _end_if_finished(self) -> None:
        if self._finishing is not None and self._out is None and len(self.inbox) == 0:
            self._end(self._finishing)
