"""The one thread that owns the device, and the scheduler that gives sessions their turns on it.

The thread does what it is given, in order: chunks, prompts, opening and closing of videos. A chunk
has two halves: its frames go to the event loop at once, and only then are its keys and values
written. Meanwhile the scheduler has picked the next chunk, so that the device does not wait.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from runtime.core import ChunkRequest, RenderedChunk
from runtime.pipeline.pipeline import Video

log = logging.getLogger(__name__)
T = TypeVar("T")

RECENT = 16
"""Units of work whose durations are kept."""


class RendererLostError(RuntimeError):
    """Nothing can be rendered any more by this process; the message says why."""


class RenderThread:
    """Runs work in the order given, one at a time.

    The order is a promise that others build on: a video is closed after the last chunk that was
    scheduled for it, and a chunk finds the keys and values of the one before it written.

    The thread is lost when its device computes no more (`probe` raises after a failure), when it
    ends by itself, or when it does not come back (see `watchdog`). `on_lost` is then called once,
    on the loop, and all calls fail.
    """

    def __init__(self, on_lost: Callable[[Exception], None] = lambda error: None) -> None:
        # Unbounded, and short all the same: the scheduler has one chunk in it at a time.
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="c2r-render", daemon=True)
        self._on_lost = on_lost
        self._loop: asyncio.AbstractEventLoop | None = None
        self._calls = set[asyncio.Future[Any]]()
        self.lost: RendererLostError | None = None
        self.probe: Callable[[], None] = lambda: None
        """Raises when the device computes no more. Called on the thread."""
        self.busy, self.done = False, 0
        self.recent_s: deque[float] = deque(maxlen=RECENT)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def lose(self, error: RendererLostError) -> None:
        """The thread is of no more use. On the loop."""
        if self.lost is not None:
            return
        self.lost = error
        for future in list(self._calls):
            _fail(future, error)
        self._on_lost(error)

    def check(self) -> None:
        """After a failure, on the thread: whether the device still computes.

        An error of a kernel stays with a CUDA device for the life of the process, and every later
        call fails with it; memory that ran out does not.
        """
        try:
            self.probe()
        except Exception as error:
            self._tell(f"the device computes no more: {error}", error)

    def _tell(self, message: str, cause: BaseException) -> None:
        log.critical("%s", message, exc_info=cause)
        assert self._loop is not None, "the thread was started on a loop"
        post(self._loop, self.lose, RendererLostError(message))

    def put(self, work: Callable[[], None]) -> None:
        """Work that handles its own errors."""
        self._work.put(work)

    def call(self, function: Callable[..., T], *arguments: Any) -> asyncio.Future[T]:
        """Run a function in its turn; its result arrives in a future of the running loop."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self.lost is not None:
            future.set_exception(self.lost)
            return future
        self._calls.add(future)
        future.add_done_callback(self._calls.discard)

        def work() -> None:
            try:
                result = function(*arguments)
            except Exception as error:
                post(loop, _fail, future, error)
                self.check()
            else:
                post(loop, _fulfil, future, result)

        self.put(work)
        return future

    def stop(self, timeout_s: float) -> bool:
        """Finish what was given and end; False when that takes longer."""
        self._work.put(None)
        self._thread.join(timeout_s if self.lost is None else min(timeout_s, 1.0))
        return not self._thread.is_alive()

    def _run(self) -> None:
        while (work := self._work.get()) is not None:
            begun_s, self.busy = time.perf_counter(), True
            try:
                work()
            except Exception:
                log.exception("work of the render thread failed; the thread goes on")
                self.check()
            except BaseException as error:
                self._tell(f"the render thread ended: {error!r}", error)
                return
            self.recent_s.append(time.perf_counter() - begun_s)
            self.busy, self.done = False, self.done + 1
            # `get` blocks until there is more to do, and the name would hold on to a chunk of
            # frames, or to the video that was just closed, for as long.
            del work


def post(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function on the loop, from any thread; nothing once the loop is closed."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        if not loop.is_closed():
            raise


# A future may be done before its result: its awaiter was cancelled meanwhile.


def _fulfil(future: asyncio.Future[T], result: T) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class RenderJob(Protocol):
    """Has chunks rendered, one at a time; called on the event loop."""

    @property
    def waits(self) -> bool:
        """It has a chunk to render now."""
        ...

    def next_chunk(self) -> tuple[Video, ChunkRequest]:
        """The chunk of this turn, made at the last moment. Only called while it waits."""
        ...

    def rendered(self, chunk: RenderedChunk) -> None:
        """The frames of its turn. Their keys and values are yet to be written."""
        ...

    def failed(self, error: Exception) -> None:
        """Its turn gave no frames; the video is back at its start."""
        ...

    def on_state_lost(self, error: Exception) -> None:
        """The write after `rendered` failed; the video is back at its start."""
        ...


class RenderScheduler:
    """Gives jobs their turns, round robin, one chunk at a time. Lives on the event loop.

    A job stands in the queue once, however often it asks, and goes to its end after its turn. So a
    job with a chunk waits for one chunk of each other job at most, whatever those have waiting.
    A chunk is made when its turn comes and not when it is asked for: until then newer frames may
    still take the place of older ones.
    """

    def __init__(self, thread: RenderThread) -> None:
        self._thread = thread
        self._queue: deque[RenderJob] = deque()
        self._busy = False

    def ask(self, job: RenderJob) -> None:
        """The job has a chunk; asking again while it is queued changes nothing."""
        if not any(other is job for other in self._queue):
            self._queue.append(job)
        self._next()

    def _next(self) -> None:
        while self._queue and not self._busy:
            job = self._queue.popleft()
            if job.waits:  # its stream may have ended since it asked
                self._busy = True
                self._submit(job, *job.next_chunk())

    def _submit(self, job: RenderJob, video: Video, request: ChunkRequest) -> None:
        loop = asyncio.get_running_loop()

        def work() -> None:
            try:
                chunk = video.render(request)
            except Exception as error:
                post(loop, self._finished, job, job.failed, error)
                self._thread.check()
                return
            # First the frames, then the write: a client waits for the former, and the loop picks
            # and submits the next chunk while the thread is busy with the latter.
            post(loop, self._finished, job, job.rendered, chunk)
            try:
                video.write()
            except Exception as error:
                # Posted after `rendered`, which the loop therefore sees first. By now the job's
                # next chunk may be submitted: `Video.render` refuses it.
                post(loop, job.on_state_lost, error)
                self._thread.check()

        self._thread.put(work)

    def _finished(self, job: RenderJob, tell: Callable[[Any], None], result: Any) -> None:
        self._busy = False
        try:
            tell(result)
        finally:
            # Whatever `tell` raises, other sessions get their turns.
            if job.waits:
                self.ask(job)
            self._next()
