"""A TCP proxy that forwards every byte after a delay, or nothing at all."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self

from engine_bridge.client.render_client import quiet_loop


class SlowLink:
    """A proxy to `address`; `delay_s` each way. `stall()` drops everything that comes."""

    def __init__(self, address: str, delay_s: float) -> None:
        self.port = 0
        self._host, _, port = address.rpartition(":")
        self._target, self._delay_s = int(port), delay_s
        self._stalled = False
        self._loop = quiet_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def stall(self, stalled: bool = True) -> None:
        """Drop everything, or stop doing so."""
        self._stalled = stalled

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(5)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(5)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(self._host, self._target)
        for source, sink in ((reader, back), (there, writer)):
            task = self._loop.create_task(self._carry(source, sink))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _carry(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def hand_on() -> None:
            while True:
                due, data = await waiting.get()
                await asyncio.sleep(max(0.0, due - self._loop.time()))
                if not data:
                    return
                sink.write(data)
                await sink.drain()

        handing = self._loop.create_task(hand_on())
        try:
            data = b"-"
            while data:
                data = await source.read(1 << 16)
                if not self._stalled:
                    waiting.put_nowait((self._loop.time() + self._delay_s, data))
            await handing
        except ConnectionError:
            return  # either side is gone, and the other will see it now
        finally:
            handing.cancel()
            sink.close()
