"""Makes the scenes of a set, several at a time: each is tried twice, every success kept at once."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from street.director.programs import ProgramError, Programs
from street.director.scene_list import SceneSpec, SetConfig
from trainer.data.manifest import Clip, append_clip
from trainer.data.synthesize.make_clip import make_clip

RESERVE = 256 << 20
"""Bytes that must be free on the disk for a scene to begin."""
ATTEMPTS = 2


class DiskFull(OSError):
    """The disk has no room for another scene."""


class SceneRun:
    """A run over the set in `out`, with `threads` for each fine film at work;
    `advance` hears shares of a scene, negative ones for work that is taken back.
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
        """Adds to `done` and to the manifest what succeeds; gives the reasons for the rest."""
        failed: dict[str, str] = {}
        with ThreadPoolExecutor(jobs) as pool:
            work = {pool.submit(self._scene, spec): spec for spec in specs}
            try:
                for future in _as_they_come(set(work)):
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
            self._room()
            try:
                return self._attempt(spec)
            except (ProgramError, ValueError, OSError) as error:
                self._room(error)
                if attempt + 1 == ATTEMPTS:
                    raise ProgramError(str(error)) from error
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _attempt(self, spec: SceneSpec) -> Clip:
        told = 0.0

        def tell(share: float) -> None:
            nonlocal told
            told += share
            self._advance(share)

        try:
            return make_clip(
                self._out, spec, self._config, self._programs, threads=self._threads, on_step=tell
            )
        except BaseException:
            self._advance(-told)
            raise

    def _room(self, error: Exception | None = None) -> None:
        """DiskFull when there is no room, or when a failure says so."""
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise DiskFull(f"the disk of {self._out} is full; make room and run it again")
        if shutil.disk_usage(self._out).free < RESERVE:
            raise DiskFull(
                f"the disk of {self._out} has less than {RESERVE >> 20} MB free; make room and "
                "run it again"
            )


def _as_they_come(work: set[Future[Clip]]) -> Iterator[Future[Clip]]:
    """Futures as they end; waits in short steps, so that signals are heard."""
    while work:
        ended, work = wait(work, timeout=0.5, return_when=FIRST_COMPLETED)
        yield from ended
