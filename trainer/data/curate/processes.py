"""Many files on one machine, each in a process that may crash without harm to the others."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from trainer.data.curate.one_file import curate_file, write_crashed
from trainer.data.curate.state import RunOptions, Task


def in_processes(tasks: Sequence[Task], options: RunOptions, jobs: int) -> Iterator[str]:
    """Curate files in `jobs` processes; gives the name of each as it is done.

    At most `jobs` files are in work. When a worker dies, the pool does not say by which file: all
    files in work are tried again one by one, and one that crashes its process again is recorded as
    crashed.
    """
    waiting = deque(tasks)
    while waiting:
        running: dict[Future[None], Task] = {}
        try:
            yield from _run_pool(waiting, running, options, jobs)
        except BrokenProcessPool:
            for suspect in running.values():
                _run_alone(suspect, options)
                yield suspect.source.name


def _run_pool(
    waiting: deque[Task], running: dict[Future[None], Task], options: RunOptions, jobs: int
) -> Iterator[str]:
    pool = _pool(min(jobs, len(waiting)))
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                task = waiting.popleft()
                running[pool.submit(curate_file, task, options)] = task
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                future.result()
                yield running.pop(future).source.name
    finally:
        pool.shutdown(cancel_futures=True)


def _run_alone(task: Task, options: RunOptions) -> None:
    with _pool(1) as pool:
        try:
            pool.submit(curate_file, task, options).result()
        except BrokenProcessPool:
            write_crashed(task, options)


def _pool(jobs: int) -> ProcessPoolExecutor:
    # Spawned, not forked: a fork copies the locks of torch and FFmpeg, but not the threads that
    # would release them.
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_end_with_parent)


def _end_with_parent() -> None:
    """Without this a worker whose parent was killed would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
