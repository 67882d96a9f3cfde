"""Runs of consecutive samples from one scene: the clips to be, and what is left between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from c2r.clips.fit import Image
from trainer.data.curate.crop import box_of, fit
from trainer.data.curate.resample import Sample

Kind = Literal["whole", "short", "remainder"]


@dataclass
class Window:
    """Pictures `[height, width, 3]` from output frame `start` on, gathered one by one.

    `kind` is `whole` for a clip of full length, `short` for a scene that is too short for one and
    `remainder` for what a scene leaves after its last clip.
    """

    start: int
    kind: Kind
    pictures: list[Image] = field(default_factory=list)
    repeated: int = 0
    upscale: float = 0.0
    """The largest enlargement of any picture; below 1 they were reduced."""

    def add(self, sample: Sample, want: tuple[int, int]) -> None:
        """Take the next sample, at the size `want` (width, height)."""
        self.repeated += sample.repeated
        if sample.repeated and self.pictures:
            self.pictures.append(self.pictures[-1])
            return
        box = box_of(sample.shot.picture, want)
        self.upscale = max(self.upscale, box.upscale)
        # Scaled here, so that no more than one frame of full size is held.
        self.pictures.append(fit(sample.shot.picture, box, want))


def windows(samples: Iterable[Sample], frames: int, want: tuple[int, int]) -> Iterator[Window]:
    """Every scene in windows of `frames`; one is in memory at a time."""
    for _, scene in groupby(samples, key=lambda sample: sample.shot.scene):
        window, rest = None, _SHORT
        for sample in scene:
            window = window or Window(sample.index, rest)
            window.add(sample, want)
            if len(window.pictures) == frames:
                window.kind = "whole"
                yield window
                window, rest = None, _REMAINDER
        if window is not None:
            yield window


_SHORT: Kind = "short"
_REMAINDER: Kind = "remainder"
