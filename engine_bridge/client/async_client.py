"""The asyncio client: coarse frames in, rendered frames out, over any number of connections.

Imports no gRPC until it is started.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from c2r.wire import Accepted, CoarseFrame, FrameReply, RenderedFrame
from c2r.wire.events import ControlAck, SessionWarning
from engine_bridge.client.account import ClientRecord
from engine_bridge.client.endpoint import Endpoint, as_endpoint
from engine_bridge.client.options import ClientOptions
from engine_bridge.client.statistics import ClientStatistics, Clock, monotonic_us
from engine_bridge.client.status import Refused, State, Status, StatusLog

if TYPE_CHECKING:
    from engine_bridge.client.supervisor import Supervisor

log = logging.getLogger(__name__)
CLOSE_QUIET_S = 1.0
"""`close` that waits longer for the server logs what it waits for."""


class AsyncRenderClient:
    """One session with a renderer, over any number of connections.

    `server` is "host:port", or an `Endpoint` for TLS and tokens. Every submitted frame has exactly
    one outcome, in frame order: rendered, dropped with a reason, or failed. Outcomes go to
    `on_result`, or are read with `results` or `poll`. Callbacks run in the event loop and should be
    short; one that raises is logged and counted, without other effect. Images are encoded and
    decoded in the event loop, 1 to 3 ms each at 832x480.

    A connection that fails or breaks is tried again with back-off. The first failure is logged as
    a warning with address and reason, later ones only change `status`; the next success is logged.

    `start`, `close`, `results` and `wait_streaming` belong to one event loop; everything else may
    be used from any thread.
    """

    def __init__(
        self,
        server: Endpoint | str,
        options: ClientOptions,
        *,
        on_result: Callable[[FrameReply], None] | None = None,
        on_ack: Callable[[ControlAck], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
        on_warning: Callable[[SessionWarning], None] | None = None,
        clock: Clock = monotonic_us,
    ) -> None:
        self.endpoint, self.options = as_endpoint(server), options
        self._record = ClientRecord.empty(options.opening(self.endpoint), clock)
        self._on_result, self._on_ack = on_result, on_ack
        self._on_status, self._on_warning = on_status, on_warning
        self._status = Status(State.CONNECTING, "not started")
        self._log = StatusLog(log, told=on_status is not None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._supervisor: Supervisor | None = None
        self._task: asyncio.Task[None] | None = None
        self._signalled = self._closed = False
        self._readable, self._status_changed = asyncio.Event(), asyncio.Event()

    async def start(self) -> None:
        """Start to connect; returns at once."""
        from engine_bridge.client.supervisor import Supervisor  # gRPC

        if self._loop is not None:
            raise RuntimeError("the client was started before; make a new one")
        self._loop = asyncio.get_running_loop()
        self._supervisor = Supervisor(
            self.endpoint,
            self.options.patience,
            self._record,
            announce=self._announce,
            warned=self._warn,
            acknowledged=self._acknowledge,
            outcomes=self._deliver,
        )
        self._task = self._loop.create_task(self._supervise(self._supervisor))

    async def close(self, *, discard: bool = False, timeout_s: float = 10.0) -> None:
        """End the session and wait for the last outcomes, at most `timeout_s`.

        Waiting frames are sent first and rendered, unless `discard`. Frames without a reply by then
        are `LOST` or `UNSENT`. Returns within a second of the server's `Ended`; a longer wait is
        logged with what it waits for. Closing twice is no error.
        """
        self._closed = True
        self._record.account.stop()
        if self._task is not None:
            assert self._supervisor is not None
            if self._supervisor.end(discard=discard) and not self._status.final:
                await self._wait_for_end(self._task, timeout_s)
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._finish(Status(State.CLOSED, "closed"))

    async def _wait_for_end(self, task: asyncio.Task[None], timeout_s: float) -> None:
        quiet_s = min(CLOSE_QUIET_S, timeout_s)
        done, _ = await asyncio.wait({task}, timeout=quiet_s)
        left_s = timeout_s - quiet_s
        if done or left_s <= 0:
            return
        account = self._record.account
        log.warning(
            "close() waits at most %.3g s more for %s: %d frames without a reply, %d not sent yet",
            left_s,
            self.endpoint.address,
            account.in_flight,
            account.waiting,
        )
        await asyncio.wait({task}, timeout=left_s)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close(discard=error is not None)

    def submit(self, frame: CoarseFrame) -> None:
        """Queue a frame; takes microseconds and never blocks.

        At most the server's window is in flight; beyond it a newer frame replaces the waiting one,
        which becomes `UNSENT`. The client keeps the arrays: do not reuse them. ValueError for
        another size or an id that does not go up; RuntimeError once closed.
        """
        if self._loop is None:
            raise RuntimeError("the client was not started; use `with`, or call start()")
        if frame.size != (self.options.width, self.options.height):
            ours = f"{self.options.width}x{self.options.height}"
            theirs = "{}x{}".format(*frame.size)
            raise ValueError(f"the frame is {theirs}, the session {ours}; resize it")
        self._record.account.submit(frame)
        self._record.meter.submitted()
        self._signal()

    def set_control(
        self,
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        strength: float | None = None,
        seed: int | None = None,
        blend_chunks: int | None = None,
    ) -> int:
        """Change what is rendered from the next chunk on; the id of the coming acknowledgement.

        Kept through reconnections. Raises `WireError` (a ValueError) for a value out of range,
        RuntimeError once closed.
        """
        if self._closed:
            raise RuntimeError("the client is closed; make a new one to change settings")
        control_id = self._record.controls.change(
            prompt=prompt,
            negative_prompt=negative_prompt,
            strength=strength,
            seed=seed,
            blend_chunks=blend_chunks,
        )
        if self._loop is not None:
            self._signal()
        return control_id

    def poll(self) -> list[FrameReply]:
        """The outcomes available now, in frame order; never blocks."""
        self._refuse_two_readers()
        outcomes = []
        while (outcome := self._record.account.next_outcome()) is not None:
            outcomes.append(outcome)
        if outcomes and self._running:
            self._signal()
        return outcomes

    async def results(self) -> AsyncIterator[FrameReply]:
        """Outcomes in frame order as they come, until the client is closed or has failed."""
        self._refuse_two_readers()
        while True:
            while (outcome := self._record.account.next_outcome()) is not None:
                self._wake()
                yield outcome
            if self._record.account.finished:
                return
            await self._readable.wait()
            self._readable.clear()

    def waited_results(self) -> Iterator[FrameReply]:
        """`results` for a thread without an event loop; blocks until each outcome."""
        self._refuse_two_readers()
        while self._record.account.wait():
            outcome = self._record.account.next_outcome()
            if outcome is None:
                return
            if self._running:
                self._signal()
            yield outcome

    def wait_for_room(self, timeout_s: float | None = None) -> bool:
        """For a thread without an event loop: block until `has_room`, or nothing can be sent."""
        return self._record.account.wait_for_room(timeout_s)

    async def wait_streaming(self, timeout_s: float = 30.0) -> Accepted:
        """What the session was granted, once it streams.

        ConnectionError when it is refused, closed, or not accepted in time; the text says why.
        """
        deadline = asyncio.get_running_loop().time() + timeout_s
        while (accepted := self.accepted) is None:
            left = deadline - asyncio.get_running_loop().time()
            if self._status.final or left <= 0:
                raise ConnectionError(self._status.text)
            self._status_changed.clear()
            try:
                await asyncio.wait_for(self._status_changed.wait(), left)
            except TimeoutError:
                continue
        return accepted

    def report_shown(self, reply: RenderedFrame, *, buffer_ms: float = 0.0) -> None:
        """Tell the server which frame is on the screen and how much playout is buffered."""
        self._record.display.shown(reply.frame_id, reply.capture_time_us, buffer_ms)

    @property
    def status(self) -> Status:
        return self._status

    @property
    def accepted(self) -> Accepted | None:
        """What the session was granted; None while there is no connection."""
        return self._supervisor.accepted if self._supervisor is not None else None

    @property
    def statistics(self) -> ClientStatistics:
        return self._record.meter.statistics(self._record.account.counts)

    @property
    def has_room(self) -> bool:
        """A frame submitted now would be sent without replacing another."""
        return self._record.account.has_room

    @property
    def _running(self) -> bool:
        return self._task is not None and not self._task.done()

    def _refuse_two_readers(self) -> None:
        if self._on_result is not None:
            raise RuntimeError("outcomes go to on_result; leave it out to read them here")

    def _signal(self) -> None:
        """From any thread: let the event loop handle changes of the record. Coalesced."""
        if not self._signalled:
            self._signalled = True
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._handle_changes)
            except RuntimeError:
                # The loop may stop between `account.submit` and here: `close` has settled the
                # record then. A loop that stopped without `close` is the caller's error.
                if not self._closed:
                    raise

    def _handle_changes(self) -> None:
        self._signalled = False
        self._wake()
        self._deliver()

    def _wake(self) -> None:
        if self._supervisor is not None:
            self._supervisor.wake()

    async def _supervise(self, supervisor: Supervisor) -> None:
        try:
            await supervisor.run()
        except Refused as refusal:
            self._fail(str(refusal))
        except Exception as error:
            log.exception("the client failed")
            self._fail(f"the client failed: {error}")

    def _fail(self, text: str) -> None:
        self._record.account.halt()
        self._record.controls.finish(text)
        self._announce(Status(State.FAILED, text))
        self._deliver()

    def _finish(self, status: Status) -> None:
        self._record.account.close()
        self._record.controls.finish(status.text)
        self._deliver()
        self._announce(status)

    def _deliver(self) -> None:
        """Deliver what is ready to the callbacks, or wake the reader."""
        while (ack := self._record.controls.next_notice()) is not None:
            self._acknowledge(ack)
        if self._on_result is None:
            self._readable.set()
            return
        while (outcome := self._record.account.next_outcome()) is not None:
            self._call_back(self._on_result, outcome)

    def _announce(self, status: Status) -> None:
        if status == self._status:
            return
        self._status = status
        self._log.write(status)
        self._status_changed.set()
        if self._on_status is not None:
            self._call_back(self._on_status, status)

    def _warn(self, warning: SessionWarning) -> None:
        if self._on_warning is None:
            log.warning("the server warns: %s", warning.message)
        else:
            self._call_back(self._on_warning, warning)

    def _acknowledge(self, ack: ControlAck) -> None:
        if self._on_ack is not None:
            self._call_back(self._on_ack, ack)

    def _call_back(self, function: Callable[[Any], None], value: object) -> None:
        try:
            function(value)
        except Exception:
            if self._record.meter.callback_failed() == 1:
                log.exception(
                    "a callback raised; the client continues, later ones are only counted"
                )
