"""The one thread that owns the device, and the desk that gives sessions their turns on it.

The thread does what it is given, in order: chunks, prompts, opening and closing of videos. A chunk
has two halves: its pictures go to the event loop at once, and only then are its keys and values
written. Meanwhile the desk has picked the next chunk, so that the device does not wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from runtime.pipeline.video_stream import ChunkOrder, Painted, Video

log = logging.getLogger(__name__)
T = TypeVar("T")


class RenderThread:
    """Runs work in the order given, one at a time."""

    def __init__(self) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="c2r-render", daemon=True)

    def start(self) -> None:
        """Begin with what was given so far."""
        self._thread.start()

    def put(self, work: Callable[[], None]) -> None:
        """Work that handles its own errors."""
        self._work.put(work)

    def call(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Run a function in its turn; the future, of the running loop, has what it gives."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            try:
                result = function(*arguments)
            except Exception as error:
                post(loop, _fail, future, error)
            else:
                post(loop, _fulfil, future, result)

        self.put(work)
        return future

    def stop(self, timeout_s: float) -> bool:
        """Finish what was given and end; False when that takes longer."""
        self._work.put(None)
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            try:
                work()
            except Exception:
                log.exception("work of the render thread failed; the thread goes on")
            del work  # it may hold a chunk of frames


def post(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function on the loop, from any thread; nothing once the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise


def _fulfil(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class RenderJob(Protocol):
    """Who has chunks rendered; called on the event loop."""

    @property
    def waits(self) -> bool:
        """It has a chunk to render now."""
        ...

    def next_turn(self) -> tuple[Video, ChunkOrder]:
        """The chunk, gathered at the last moment. Only when it waits."""
        ...

    def painted(self, painted: Painted) -> None:
        """The pictures of its turn."""
        ...

    def failed(self, error: Exception) -> None:
        """Its turn came to nothing."""
        ...

    def forgot(self, error: Exception) -> None:
        """The pictures have left, but the stream lost its past."""
        ...


class RenderScheduler:
    """Gives customers their turns, round robin, one chunk at a time. Lives on the event loop."""

    def __init__(self, thread: RenderThread) -> None:
        self._thread = thread
        self._line: deque[RenderJob] = deque()
        self._busy = False

    def ask(self, customer: RenderJob) -> None:
        """The customer has a chunk; asking again while it stands in line changes nothing."""
        if not any(other is customer for other in self._line):
            self._line.append(customer)
        self._next()

    def _next(self) -> None:
        while self._line and not self._busy:
            customer = self._line.popleft()
            if customer.waits:
                self._busy = True
                self._give(customer, *customer.next_turn())

    def _give(self, customer: RenderJob, video: Video, order: ChunkOrder) -> None:
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                painted = video.paint(order)
            except Exception as error:
                post(loop, self._over, customer, customer.failed, error)
                return
            post(loop, self._over, customer, customer.painted, painted)
            try:
                video.write()
            except Exception as error:
                post(loop, customer.forgot, error)

        self._thread.put(work)

    def _over(self, customer: RenderJob, tell: Callable[..., None], result: Any) -> None:
        self._busy = False
        try:
            tell(result)
        finally:
            if customer.waits:
                self.ask(customer)
            self._next()
