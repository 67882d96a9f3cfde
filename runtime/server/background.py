"""A server in a thread of this program, for commands that bring their own."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType

from runtime.pipeline.pipeline import Pipeline
from runtime.server.server import PendingPipeline, RunningServer, start_server
from runtime.session.settings import ServeSettings


class BackgroundServer:
    """Serves while the `with` block runs; `address` is `host:port`.

    Entering waits until sessions are served and raises what went wrong; leaving drains.
    """

    def __init__(self, source: Pipeline | PendingPipeline, settings: ServeSettings) -> None:
        self.address = ""
        self._source, self._settings = source, settings
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="c2r-server")
        self._server: RunningServer | None = None

    def __enter__(self) -> BackgroundServer:
        self._thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end()

    async def _start(self) -> None:
        self._server = await start_server(self._source, self._settings)
        self.address = self._server.address
        await self._server.ready()

    def _end(self) -> None:
        if self._server is not None:
            asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()
