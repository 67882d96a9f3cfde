"""Batches by number: clips chosen by the sampler, read in advance by threads.

A clip that cannot be read is reported and replaced by another of its source, up to a stated number
of times; nothing is left out silently. It knows no networks.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any, Generic, Literal, Protocol, TypeVar

from trainer.data.batch import Batch, Sample, collate
from trainer.data.cache_format import MANIFEST_FILE
from trainer.data.cache_reader import CacheReader
from trainer.data.manifest import Clip, sift_manifest
from trainer.data.pair_reader import PairReader
from trainer.data.sampler import SamplerState
from trainer.data.video_reader import VideoReader
from trainer.data.window import frames_at
from trainer.settings import DataConfig, TrainConfig

log = logging.getLogger(__name__)

MAX_NAMED = 5
ATTEMPTS = 10


class HasId(Protocol):
    """A clip of any kind."""

    @property
    def id(self) -> str:
        """Its name in messages."""


Kind = TypeVar("Kind", bound=HasId)
Read = TypeVar("Read", contravariant=True)
Drawn = TypeVar("Drawn", covariant=True)


class ClipReader(Protocol[Read]):
    """Reads one sample of a clip."""

    def read(self, clip: Read, draw: int, *, control: bool, fine: bool = True) -> Sample:
        """With the control's pixels, and unless `fine` without the video's own; `ValueError` or
        `OSError` when it cannot.
        """


class Sampler(Protocol[Drawn]):
    """Which clip is sample number `draw`, and what a checkpoint keeps of that order."""

    def clip(self, draw: int, attempt: int = 0) -> Drawn:
        """`attempt` > 0 gives another one, for a clip that cannot be read."""

    def state(self, drawn: int) -> SamplerState:
        """After `drawn` samples."""

    def check(self, state: SamplerState) -> None:
        """`ValueError` unless a run with that state would continue with the same samples."""


@dataclass(frozen=True)
class UsableClips:
    """The clips that a run can use, and their reader."""

    clips: tuple[Clip, ...]
    reader: ClipReader[Clip]


def open_clips(config: TrainConfig, split: Literal["train", "held_out"] = "train") -> UsableClips:
    """The usable clips of one split; what is left out is reported with the reason.

    `ValueError` when neither or both of `data.manifest` and `data.cache` are given, when
    `data.bad_clips` is "error" and one is bad, or when no clip is left.
    """
    data = config.data
    if (data.manifest is None) == (data.cache is None):
        raise ValueError("give one of data.manifest (videos) and data.cache (latents)")
    manifest = data.manifest or Path(data.cache or "") / MANIFEST_FILE
    sifted = sift_manifest(manifest, check="files" if data.cache is None else "none")
    _report(config, manifest, sifted.skipped)
    clips = [clip for clip in sifted.clips if clip.split == split]
    usable, faults, reader = _usable(config, manifest.parent, clips)
    _report(config, manifest, faults)
    if not usable:
        raise ValueError(
            f"{manifest} has no {split} clip that this run can use"
            + (f": {faults[0]}" if faults else f" ({len(sifted.clips)} in other splits)")
        )
    return UsableClips(tuple(usable), reader)


def _usable(
    config: TrainConfig, root: Path, clips: Sequence[Clip]
) -> tuple[list[Clip], list[str], ClipReader[Clip]]:
    """The clips that are long enough, why the others are not, and the reader."""
    reader: VideoReader | CacheReader
    arguments = root, config.model, config.frames, config.data, config.seed
    if config.data.cache is not None:
        reader = CacheReader(*arguments)
        reasons = [reader.holds(clip) for clip in clips]
    else:
        reader = PairReader(*arguments) if config.reader == "pairs" else VideoReader(*arguments)
        reasons = [_too_short(clip, config) for clip in clips]
    pairs = list(zip(clips, reasons, strict=True))
    usable = [clip for clip, reason in pairs if reason is None]
    return usable, [f"clip {c.id}: {reason}" for c, reason in pairs if reason is not None], reader


def _too_short(clip: Clip, config: TrainConfig) -> str | None:
    have = frames_at(clip, config.model.fps)
    if have >= config.frames:
        return None
    return f"it has {have} frames at {config.model.fps} fps, data.frames asks for {config.frames}"


def _report(config: TrainConfig, manifest: Path, faults: Sequence[str]) -> None:
    if not faults:
        return
    more = f"; and {len(faults) - MAX_NAMED} more" if len(faults) > MAX_NAMED else ""
    message = f"{manifest}: {len(faults)} left out: {'; '.join(faults[:MAX_NAMED])}{more}"
    if config.data.bad_clips == "error":
        raise ValueError(f"{message}. data.bad_clips skip would go on without them")
    log.warning("%s", message)


class SampleLoader(Generic[Kind]):
    """Reads samples by number. `control`: with the control's pixels; `fine`: with those of the
    video.
    """

    def __init__(
        self,
        reader: ClipReader[Kind],
        sampler: Sampler[Kind],
        data: DataConfig,
        *,
        control: bool,
        fine: bool = True,
    ) -> None:
        self.reader, self.sampler, self.data = reader, sampler, data
        self.control, self.fine = control, fine
        self.skipped = 0
        self._lock = Lock()

    def sample(self, draw: int) -> Sample:
        """Sample `draw`; `ValueError` when too many clips could not be read."""
        for attempt in range(ATTEMPTS):
            clip = self.sampler.clip(draw, attempt)
            try:
                return self.reader.read(clip, draw, control=self.control, fine=self.fine)
            except (ValueError, OSError) as error:
                self._skip(clip, draw, error)
        raise ValueError(f"sample {draw}: {ATTEMPTS} clips in a row could not be read; see the log")

    def _skip(self, clip: Kind, draw: int, error: Exception) -> None:
        if self.data.bad_clips == "error":
            raise ValueError(f"clip {clip.id} cannot be read: {error}") from error
        with self._lock:
            self.skipped += 1
            log.warning(
                "sample %d: clip %s skipped (%d so far): %s", draw, clip.id, self.skipped, error
            )
            if self.skipped > self.data.most_skips:
                raise ValueError(
                    f"{self.skipped} samples could not be read, more than data.most_skips allows; "
                    f"the last: clip {clip.id}: {error}"
                ) from error

    def batch(self, draws: Sequence[int]) -> Batch:
        return collate([self.sample(draw) for draw in draws])


class Prefetcher:
    """Batches in order, a bounded number of them made in advance by threads; close it after use.

    `draws_of(number)` says which samples are in batch `number`.
    """

    def __init__(
        self,
        samples: SampleLoader[Any],
        draws_of: Callable[[int], Sequence[int]],
        *,
        start: int,
        depth: int,
        workers: int,
    ) -> None:
        self._samples, self._draws_of = samples, draws_of
        self._next, self._depth = start, depth
        self._pool = ThreadPoolExecutor(workers, "clips") if depth else None
        self._pending: deque[Future[Batch]] = deque()

    def take(self) -> Batch:
        """The next batch; an error in a thread that made it is raised here."""
        if self._pool is None:
            self._next += 1
            return self._samples.batch(self._draws_of(self._next - 1))
        while len(self._pending) <= self._depth:
            draws = self._draws_of(self._next)
            self._pending.append(self._pool.submit(self._samples.batch, draws))
            self._next += 1
        return self._pending.popleft().result()

    def close(self) -> None:
        """Stop the threads; batches made in advance are dropped."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
