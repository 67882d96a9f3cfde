"""Makes the scenes of a set, several at a time: two tries each, every success listed at once."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from street.director.programs import ProgramError, Programs
from trainer.data.manifest import Clip, append_clip
from trainer.data.synthesize.make_clip import make_clip
from trainer.data.synthesize.scene_list import SceneSpec, SetConfig

RESERVE = 256 << 20
"""Bytes that must be free on the disk for a scene to begin."""
ATTEMPTS = 2


class DiskFull(OSError):
    """The disk has no room for another scene."""


class SceneRun:
    """A run over the set in `out`, with `threads` for each fine rendering;
    `advance` gets shares of a scene, negative ones for a failed attempt.
    """

    def __init__(
        self,
        out: Path,
        config: SetConfig,
        programs: Programs,
        threads: int,
        advance: Callable[[float], None],
    ) -> None:
        self._out, self._config, self._programs = out, config, programs
        self._threads, self._advance = threads, advance

    def all(self, specs: list[SceneSpec], jobs: int, done: dict[str, Clip]) -> dict[str, str]:
        """Adds successes to `done` and to the manifest; returns the reasons of the others."""
        failed: dict[str, str] = {}
        with ThreadPoolExecutor(jobs) as pool:
            work = {pool.submit(self._scene, spec): spec for spec in specs}
            try:
                for future in _as_completed(set(work)):
                    spec = work[future]
                    try:
                        done[spec.id] = future.result()
                    except ProgramError as error:
                        failed[spec.id] = str(error)
                        continue
                    append_clip(self._out / "manifest.jsonl", done[spec.id])
            except BaseException:
                self._programs.stop()
                pool.shutdown(wait=False, cancel_futures=True)
                raise
        return {spec.id: failed[spec.id] for spec in specs if spec.id in failed}

    def _scene(self, spec: SceneSpec) -> Clip:
        """One scene, tried again once. Raises ProgramError when it failed both times."""
        for attempt in range(ATTEMPTS):
            self._check_room()
            try:
                return self._attempt(spec)
            except (ProgramError, ValueError, OSError) as error:
                self._check_room(error)
                if attempt + 1 == ATTEMPTS:
                    raise ProgramError(str(error)) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(self, spec: SceneSpec) -> Clip:
        reported = 0.0

        def report(share: float) -> None:
            nonlocal reported
            reported += share
            self._advance(share)

        try:
            return make_clip(
                self._out, spec, self._config, self._programs, threads=self._threads, on_step=report
            )
        except BaseException:
            self._advance(-reported)
            raise

    def _check_room(self, error: Exception | None = None) -> None:
        """DiskFull when there is no room, or when a failure says so."""
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DiskFull(f"the disk of {self._out} is full; make room and run it again")
        if shutil.disk_usage(self._out).free < RESERVE:
            raise DiskFull(
                f"the disk of {self._out} has less than {RESERVE >> 20} MB free; make room and "
                "run it again"
            )


def _as_completed(work: set[Future[Clip]]) -> Iterator[Future[Clip]]:
    """Futures as they end; waits in short steps: Python runs signal handlers only between them."""
    while work:
        ended, work = wait(work, timeout=0.5, return_when=FIRST_COMPLETED)
        yield from ended
