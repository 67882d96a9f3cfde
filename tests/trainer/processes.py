"""Several training processes on this machine (gloo), started quickly.

They are forked from one server that has imported torch and the trainer once (`forkserver`): it only
imports, so no thread is copied. Spawned afresh, each process would import for seconds.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import torch
from torch import multiprocessing

PRELOADED = [
    "tests.trainer.small_run",
    "trainer.loop",
    "trainer.phases.dmd",
    "trainer.phases.align",
]


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start_processes(function: Callable[..., None], arguments: tuple[Any, ...], count: int) -> None:
    """Run `function(rank, *arguments)` in `count` processes; raise if one fails."""
    multiprocessing.get_context("forkserver").set_forkserver_preload(PRELOADED)
    multiprocessing.start_processes(function, arguments, nprocs=count, start_method="forkserver")


def take_place(rank: int, size: int, port: int) -> None:
    """As torchrun does: this process's place among `size`, in the environment."""
    torch.set_num_threads(1)
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_PORT": port}
    os.environ.update({key: str(value) for key, value in place.items()})
    os.environ["MASTER_ADDR"] = "127.0.0.1"
