"""Frames of any rate, resampled to a fixed one by timestamps and gathered into clip-long segments.

Each output frame is the decoded one nearest in time. A scene gives segments of a clip's length, and
what is left between them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from c2r.clips.fit import Image
from trainer.data.curate.crop import box_of, fit
from trainer.data.curate.scenes import SceneFrame

Kind = Literal["whole", "short", "remainder"]
_SHORT: Kind = "short"
_REMAINDER: Kind = "remainder"


@dataclass(frozen=True)
class ResampledFrame:
    """Output frame number `index`; `repeated` when it shows the same frame as the one before."""

    index: int
    source: SceneFrame
    repeated: bool


def resample(sources: Iterable[SceneFrame], fps: float, gap_s: float) -> Iterator[ResampledFrame]:
    """Frames at `index / fps` seconds; inside a hole longer than `gap_s` there are none."""
    index = 0
    for source, begin, end in _spans(sources, gap_s, 1 / fps):
        index = max(index, _first_from(begin, fps))
        repeated = False
        while index / fps < end:
            yield ResampledFrame(index, source, repeated)
            repeated = True
            index += 1


def _first_from(seconds: float, fps: float) -> int:
    """The first output frame at or after a time (which may lie before the start)."""
    index = max(0, int(seconds * fps))
    return index if index / fps >= seconds else index + 1


def _spans(
    sources: Iterable[SceneFrame], gap_s: float, step: float
) -> Iterator[tuple[SceneFrame, float, float]]:
    """Every frame with the times from and until which it is the nearest one."""
    previous: SceneFrame | None = None
    begin = 0.0
    for source in sources:
        if previous is not None:
            step = source.seconds - previous.seconds
            reach = min(step, gap_s) / 2
            yield previous, begin, previous.seconds + reach
            begin = source.seconds - reach
        previous = source
    if previous is not None:
        yield previous, begin, previous.seconds + min(step, gap_s)


@dataclass
class Segment:
    """Frames `[height, width, 3]` from output frame `start` on, gathered one by one.

    `kind` is `whole` for a clip of full length, `short` for a scene that is too short for one and
    `remainder` for what a scene leaves after its last clip.
    """

    start: int
    kind: Kind
    frames: list[Image] = field(default_factory=list)
    repeated: int = 0
    upscale: float = 0.0
    """The largest enlargement of any frame; below 1 they were reduced."""

    def add(self, sample: ResampledFrame, want: tuple[int, int]) -> None:
        """Take the next sample, at the size `want` (width, height)."""
        self.repeated += sample.repeated
        if sample.repeated and self.frames:
            self.frames.append(self.frames[-1])
            return
        box = box_of(sample.source.decoded, want)
        self.upscale = max(self.upscale, box.upscale)
        # Scaled here, so that no more than one frame of full size is held.
        self.frames.append(fit(sample.source.decoded, box, want))


def segments(
    samples: Iterable[ResampledFrame], length: int, want: tuple[int, int]
) -> Iterator[Segment]:
    """Every scene in segments of `length` frames; one is in memory at a time."""
    for _, scene in groupby(samples, key=lambda sample: sample.source.scene):
        segment, kind = None, _SHORT
        for sample in scene:
            segment = segment or Segment(sample.index, kind)
            segment.add(sample, want)
            if len(segment.frames) == length:
                segment.kind = "whole"
                yield segment
                segment, kind = None, _REMAINDER
        if segment is not None:
            yield segment
