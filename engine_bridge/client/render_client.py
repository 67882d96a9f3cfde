"""The client for a game loop: the asyncio client in a thread of its own."""

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
from engine_bridge.client.poller import quiet_loop
from engine_bridge.client.statistics import ClientStatistics
from engine_bridge.client.status import Status

__all__ = ["AsyncRenderClient", "RenderClient"]

T = TypeVar("T")
_SPARE_S = 5.0


class RenderClient:
    """`AsyncRenderClient` for programs without an event loop; the same promises.

    Callbacks run in the client's thread. `submit`, `poll` and `set_control` never wait. Use it as a
    context manager, or call `start` and `close`.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        options: ClientOptions,
        *,
        on_result: Callable[[FrameReply], None] | None = None,
        on_ack: Callable[[ControlAck], None] | None = None,
        on_status: Callable[[Status], None] | None = None,
        on_warning: Callable[[SessionWarning], None] | None = None,
    ) -> None:
        self._client = AsyncRenderClient(
            endpoint,
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
        """Begin to connect; returns at once."""
        if self._thread is not None or self._closed:
            raise RuntimeError("the client was started before; make a new one")
        self._loop = quiet_loop()
        self._thread = threading.Thread(
            target=_run, args=(self._loop,), name="c2r-client", daemon=True
        )
        self._thread.start()
        self._within(self._client.start(), _SPARE_S)

    def close(self, *, discard: bool = False, timeout_s: float = 10.0) -> None:
        """As `AsyncRenderClient.close`, and the thread is gone afterwards."""
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
        """As `AsyncRenderClient.submit`."""
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
        """As `AsyncRenderClient.set_control`."""
        return self._client.set_control(
            prompt=prompt,
            negative_prompt=negative_prompt,
            strength=strength,
            seed=seed,
            blend_chunks=blend_chunks,
        )

    def poll(self) -> list[FrameReply]:
        """As `AsyncRenderClient.poll`."""
        return self._client.poll()

    def results(self) -> Iterator[FrameReply]:
        """Outcomes in frame order; waits for each, until the client is closed or has failed."""
        return self._client.waited_results()

    def wait_streaming(self, timeout_s: float = 30.0) -> Accepted:
        """As `AsyncRenderClient.wait_streaming`."""
        return self._within(self._client.wait_streaming(timeout_s), timeout_s + _SPARE_S)

    def wait_for_room(self, timeout_s: float | None = None) -> bool:
        """Wait until a frame would be sent at once, so that none is dropped; False if too late.

        True, too, when nothing can be sent any more.
        """
        return self._client.wait_for_room(timeout_s)

    def report_shown(self, reply: RenderedFrame, *, buffer_ms: float = 0.0) -> None:
        """As `AsyncRenderClient.report_shown`."""
        self._client.report_shown(reply, buffer_ms=buffer_ms)

    @property
    def status(self) -> Status:
        """Where the client stands."""
        return self._client.status

    @property
    def accepted(self) -> Accepted | None:
        """What the session was granted; None while there is no connection."""
        return self._client.accepted

    @property
    def statistics(self) -> ClientStatistics:
        """The client in numbers."""
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
