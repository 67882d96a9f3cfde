"""Notices a render thread that does not come back from its work, as on a device that hangs."""

from __future__ import annotations

import asyncio
from typing import NoReturn

from runtime.pipeline.render_thread import RECENT, RendererLostError, RenderThread

TICK_S = 1.0
FLOOR_S = 60.0
"""No work is given up before: prompts are encoded, graphs captured and kernels compiled in it."""
MULTIPLE = 20
"""Of the longest of the thread's recent units of work, and of a chunk of the warm-up."""


def limit_s(thread: RenderThread, chunk_s: float) -> float | None:
    """Seconds that a unit of work may take; None while too few are measured.

    `chunk_s`: of the warm-up's last chunk, since opening and closing streams is work too, and a
    slow machine may have done nothing else of late. Loading, the warm-up and the first chunks of
    all are neither watched nor, once it watches, in the measure.
    """
    if thread.done < 2 * RECENT:
        return None
    return max(FLOOR_S, MULTIPLE * max(chunk_s, *thread.recent_s))


async def watch(thread: RenderThread, chunk_s: float) -> NoReturn:
    """Tell the thread that it is lost once a unit of work takes too long. Runs until cancelled."""
    seen, waited_s = -1, 0.0
    while True:
        await asyncio.sleep(TICK_S)
        # Ticks are counted, not time: a process that was stopped for an hour proves nothing.
        waited_s = waited_s + TICK_S if thread.busy and thread.done == seen else 0.0
        seen, limit = thread.done, limit_s(thread, chunk_s)
        if limit is not None and waited_s > limit:
            thread.lose(RendererLostError(f"a chunk has not come back for {limit:.0f} s"))
