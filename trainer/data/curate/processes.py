"""Many files on one machine, each in a process that may die without harm to the others."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from trainer.data.curate.one_file import curate_file, write_crashed
from trainer.data.curate.state import Orders, Task


def in_processes(tasks: Sequence[Task], orders: Orders, jobs: int) -> Iterator[str]:
    """Curate files in `jobs` processes; gives the name of each as it is done.

    No more than `jobs` files are under way. When a process dies, those are tried one by one, and
    the one that does it again is put down as crashed.
    """
    waiting = deque(tasks)
    while waiting:
        flying: dict[Future[None], Task] = {}
        try:
            yield from _fly(waiting, flying, orders, jobs)
        except BrokenProcessPool:
            for suspect in flying.values():
                _alone(suspect, orders)
                yield suspect.source.name


def _fly(
    waiting: deque[Task], flying: dict[Future[None], Task], orders: Orders, jobs: int
) -> Iterator[str]:
    pool = _pool(min(jobs, len(waiting)))
    try:
        while waiting or flying:
            while waiting and len(flying) < jobs:
                task = waiting.popleft()
                flying[pool.submit(curate_file, task, orders)] = task
            for future in wait(flying, return_when=FIRST_COMPLETED).done:
                future.result()
                yield flying.pop(future).source.name
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(task: Task, orders: Orders) -> None:
    with _pool(1) as pool:
        try:
            pool.submit(curate_file, task, orders).result()
        except BrokenProcessPool:
            write_crashed(task, orders)


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Spawned, not forked: torch and FFmpeg have threads that a fork would leave half alive.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """A worker whose command was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
