"""The client for a game loop: the asyncio client in its own thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

from c2r.wire import Accepted, CoarseFrame, FrameReply, RenderedFrame
from c2r.wire.events import ControlAck, SessionWarning
from engine_bridge.client.async_client import AsyncRenderClient
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.options import ClientOptions
from engine_bridge.client.statistics import ClientStatistics
from engine_bridge.client.status import Status

T = TypeVar("T")
_SPARE_S = 30.0
"""Beyond a call's own timeout; only a blocked event loop takes so long."""


class RenderClient:
    """`AsyncRenderClient` for programs without an event loop; see there for what it guarantees.

    Callbacks run in the client's thread. `submit`, `poll` and `set_control` never block. Use as a
    context manager, or call `start` and `close`.
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
    ) -> None:
        self._client = AsyncRenderClient(
            server,
            options,
            on_result=on_result,
            on_ack=on_ack,
            on_status=on_status,
            on_warning=on_warning,
        )
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    def start(self) -> None:
        """Start to connect; returns at once."""
        if self._thread is not None or self._closed:
            raise RuntimeError("the client was started before; make a new one")
        self._loop = quiet_loop()
        self._thread = threading.Thread(
            target=_run, args=(self._loop,), name="c2r-client", daemon=True
        )
        self._thread.start()
        self._within(self._client.start(), _SPARE_S)

    def close(self, *, discard: bool = False, timeout_s: float = 10.0) -> None:
        """As `AsyncRenderClient.close`; the thread has ended afterwards."""
        if self._thread is threading.current_thread():
            raise RuntimeError("close() inside a callback would wait for itself; call it outside")
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is None or self._loop is None:
            return
        try:
            closing = self._client.close(discard=discard, timeout_s=timeout_s)
            self._within(closing, timeout_s + _SPARE_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            thread.join(_SPARE_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(discard=error is not None)

    def submit(self, frame: CoarseFrame) -> None:
        self._client.submit(frame)

    def set_control(
        self,
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        strength: float | None = None,
        seed: int | None = None,
        blend_chunks: int | None = None,
    ) -> int:
        return self._client.set_control(
            prompt=prompt,
            negative_prompt=negative_prompt,
            strength=strength,
            seed=seed,
            blend_chunks=blend_chunks,
        )

    def poll(self) -> list[FrameReply]:
        return self._client.poll()

    def results(self) -> Iterator[FrameReply]:
        """Outcomes in frame order; blocks for each, until the client is closed or has failed."""
        return self._client.waited_results()

    def wait_streaming(self, timeout_s: float = 30.0) -> Accepted:
        return self._within(self._client.wait_streaming(timeout_s), timeout_s + _SPARE_S)

    def wait_for_room(self, timeout_s: float | None = None) -> bool:
        """Block until a frame would be sent at once, so that none is dropped; False on a timeout.

        Also True when nothing can be sent any more.
        """
        return self._client.wait_for_room(timeout_s)

    def report_shown(self, reply: RenderedFrame, *, buffer_ms: float = 0.0) -> None:
        self._client.report_shown(reply, buffer_ms=buffer_ms)

    @property
    def status(self) -> Status:
        return self._client.status

    @property
    def accepted(self) -> Accepted | None:
        """What the session was granted; None while there is no connection."""
        return self._client.accepted

    @property
    def statistics(self) -> ClientStatistics:
        return self._client.statistics

    @property
    def has_room(self) -> bool:
        """A frame submitted now would be sent without replacing another."""
        return self._client.has_room

    def _within(self, work: Coroutine[Any, Any, T], timeout_s: float) -> T:
        assert self._loop is not None
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout_s)


def _run(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        loop.run_forever()
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def quiet_loop() -> asyncio.AbstractEventLoop:
    """A new event loop for gRPC. A selector loop on Windows too: there gRPC must poll the default.

    All event loops of a process share gRPC's one poller, which wakes every one of them for each
    event; a loop that finds nothing left to read gets a `BlockingIOError` in its exception handler
    (grpc issue 25364). It is harmless and would fill the log.
    """
    loop = asyncio.SelectorEventLoop()
    loop.set_exception_handler(_drop_poller_noise)
    return loop


def _drop_poller_noise(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    from_poller = "PollerCompletionQueue" in repr(context.get("handle"))
    if not (from_poller and isinstance(context.get("exception"), BlockingIOError)):
        loop.default_exception_handler(context)
