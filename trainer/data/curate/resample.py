"""Any frame rate to a fixed one, by timestamps: each output frame is the one nearest in time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from trainer.data.curate.scenes import Shot


@dataclass(frozen=True)
class Sample:
    """Output frame number `index`; `repeated` when it shows the same picture as the one before."""

    index: int
    shot: Shot
    repeated: bool


def resample(shots: Iterable[Shot], fps: float, gap_s: float) -> Iterator[Sample]:
    """Samples at `index / fps` seconds; inside a hole longer than `gap_s` there are none."""
    index = 0
    for shot, begin, end in _spans(shots, gap_s, 1 / fps):
        index = max(index, _first_from(begin, fps))
        repeated = False
        while index / fps < end:
            yield Sample(index, shot, repeated)
            repeated = True
            index += 1


def _first_from(seconds: float, fps: float) -> int:
    """The first output frame at or after a time (which may lie before the start)."""
    index = max(0, int(seconds * fps))
    return index if index / fps >= seconds else index + 1


def _spans(shots: Iterable[Shot], gap_s: float, step: float) -> Iterator[tuple[Shot, float, float]]:
    """Every shot with the times from and until which it is the nearest one."""
    previous: Shot | None = None
    begin = 0.0
    for shot in shots:
        if previous is not None:
            step = shot.seconds - previous.seconds
            reach = min(step, gap_s) / 2
            yield previous, begin, previous.seconds + reach
            begin = shot.seconds - reach
        previous = shot
    if previous is not None:
        yield previous, begin, previous.seconds + min(step, gap_s)
