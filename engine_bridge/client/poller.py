"""An event loop for gRPC in a thread of its own.

All event loops of a process share gRPC's one poller, which wakes every one of them for each event;
those that find nothing left to read raise a `BlockingIOError` into their loop's exception handler
(grpc issue 25364). It means nothing, and would fill the log.
"""

from __future__ import annotations

import asyncio
from typing import Any


def quiet_loop() -> asyncio.AbstractEventLoop:
    """A new loop. A selector loop on Windows too, whose own kind gRPC can only serve by polling."""
    loop = asyncio.SelectorEventLoop()
    loop.set_exception_handler(_handle)
    return loop


def _handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    from_poller = "PollerCompletionQueue" in repr(context.get("handle"))
    if not (from_poller and isinstance(context.get("exception"), BlockingIOError)):
        loop.default_exception_handler(context)
