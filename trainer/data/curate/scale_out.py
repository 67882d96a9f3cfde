"""The same files over a cluster, by Ray Data. Every node must see the videos and the output folder.

Only names are sent: clips and records are written to the shared folder, so a run that began on one
machine can continue on a cluster and the other way round.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trainer.data.curate.one_file import curate_file
from trainer.data.curate.processes import in_processes
from trainer.data.curate.sources import Source
from trainer.data.curate.state import RunOptions, Task, finished

_MOST_BLOCKS = 10_000
"""Ray keeps a record of every block; beyond this several files share one."""


def on_ray(tasks: Sequence[Task], options: RunOptions, address: str, jobs: int) -> Iterator[str]:
    """Curate files on the cluster at `address`, or with "local" on one of `jobs` local CPUs.

    Gives the name of each file as it is done. What failed on a node is tried once more here, where
    an error is raised. ValueError when Ray is not installed or not reached.
    """
    ray = _connected(address, jobs)
    try:
        done = set()
        for row in _mapped(ray, tasks, options).iter_rows():
            done.add(row["name"])
            yield row["name"]
        left = [task for task in tasks if task.source.name not in done]
        yield from (task.source.name for task in left if finished(task, options))
        yield from in_processes([task for task in left if not finished(task, options)], options, 1)
    finally:
        ray.shutdown()


def _connected(address: str, jobs: int) -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.data
    except ModuleNotFoundError as error:
        raise ValueError(
            f'--ray {address} needs the package {error.name}: pip install "c2r[ray]"'
        ) from error
    _check_reached(address)
    init: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address == "local":
        init |= {"num_cpus": jobs, "include_dashboard": False}
    try:
        ray.init(address=address, **init)
    except Exception as error:  # a node that is slow to start raises nothing narrower
        raise ValueError(f"--ray {address}: Ray gives no cluster there ({error})") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False  # the command has its own
    context.max_errored_blocks = -1
    return ray


def _check_reached(address: str) -> None:
    """ValueError when nothing answers at HOST:PORT; Ray itself would try for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host:
        return  # "local" or "auto"
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
    except (OSError, ValueError) as error:
        raise ValueError(f"--ray {address}: nothing answers there ({error})") from error


def _mapped(ray: Any, tasks: Sequence[Task], options: RunOptions) -> Any:
    """A lazy data set of one row per file, which does the work when it is read."""
    rows = [
        {
            "root": str(task.source.root),
            "path": str(task.source.path),
            "name": task.source.name,
            "captioned": task.caption is not None,
            "caption": task.caption or "",
            "fingerprint": task.fingerprint,
        }
        for task in tasks
    ]

    def work(row: dict[str, Any]) -> dict[str, str]:
        source = Source(Path(row["root"]), Path(row["path"]), row["name"])
        caption = row["caption"] if row["captioned"] else None
        curate_file(Task(source, caption, row["fingerprint"]), options)
        return {"name": source.name}

    blocks = min(len(rows), _MOST_BLOCKS)
    data = ray.data.from_items(rows, override_num_blocks=blocks)
    return data.map(work, num_cpus=1, num_gpus=_gpus(ray, options))


def _gpus(ray: Any, options: RunOptions) -> float:
    """Ray hides the GPU from work that asked for none."""
    wanted = options.settings.captioner
    there = ray.cluster_resources().get("GPU", 0) > 0
    asked = wanted.device.startswith("cuda") or (wanted.device == "auto" and there)
    return wanted.gpus if options.captioner is not None and asked else 0.0
