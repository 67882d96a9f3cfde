"""Which clip is sample number n: shares by source, every clip of a source once an epoch.

A pure function of (seed, n): every rank asks for its own numbers without talking to the others, and
a resumed run needs only the count of samples. In any batch the share of pairs is `cg_ratio`,
give or take one sample; which samples of the batch they are is shuffled.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

from trainer.data.manifest import Clip
from trainer.sample_random import plain_random

Source = Literal["real", "cg"]
SOURCES: tuple[Source, ...] = ("real", "cg")


@dataclass(frozen=True)
class SamplerState:
    """In a checkpoint: the number of samples drawn so far, and a fingerprint of their order."""

    drawn: int
    fingerprint: str


@lru_cache(maxsize=8)
def _order(seed: int, purpose: str, number: int, count: int) -> tuple[int, ...]:
    """A permutation of `count` things, drawn for (seed, purpose, number)."""
    order = list(range(count))
    plain_random(seed, number, purpose).shuffle(order)
    return tuple(order)


class DrawOrder(ABC):
    """Which clip is sample number n, and how a checkpoint recognises that order."""

    depends_on: ClassVar[str]
    """The settings that decide it beside the clips, as the error message names them."""

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """Changes when a resumed run would draw other samples."""

    def state(self, drawn: int) -> SamplerState:
        """For the checkpoint, after `drawn` samples."""
        return SamplerState(drawn, self.fingerprint)

    def check(self, state: SamplerState) -> None:
        """`ValueError` unless a run with that state would continue with the same samples."""
        if state.fingerprint != self.fingerprint:
            raise ValueError(
                f"the checkpoint was made with other clips, or {self.depends_on}: the run would "
                "not continue as it began. Put them back, or start a run in a new folder from the "
                "renderer that this one wrote"
            )


class ClipSampler(DrawOrder):
    """Clips by sample number. `batch` is the effective batch, within which sources are shuffled.

    `ValueError` when `cg_ratio` asks for a source of which there is no clip.
    """

    depends_on = "another data.cg_ratio, batch or seed"

    def __init__(self, clips: Sequence[Clip], cg_ratio: float, batch: int, seed: int) -> None:
        self.by_source = {name: [c for c in clips if c.role == name] for name in SOURCES}
        self.cg_ratio, self.batch, self.seed = cg_ratio, batch, seed
        wanted = {"cg": cg_ratio > 0, "real": cg_ratio < 1}
        lacking = [name for name in SOURCES if wanted[name] and not self.by_source[name]]
        if lacking:
            raise ValueError(
                f"there are no {lacking[0]} clips to draw, but data.cg_ratio is {cg_ratio}; set it "
                f"to {1 if lacking[0] == 'real' else 0}, or add {lacking[0]} clips"
            )

    @property
    def fingerprint(self) -> str:
        parts = [f"{self.seed} {self.cg_ratio} {self.batch}"]
        parts += [f"{name} {clip.id}" for name in SOURCES for clip in self.by_source[name]]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    def _before(self, number: int) -> int:
        """Pairs among the samples before place `number`; places are those before shuffling."""
        return math.floor(number * self.cg_ratio + 0.5)

    def place(self, draw: int) -> tuple[Source, int]:
        """The source of sample `draw`, and how many of that source came before it."""
        batch, inside = divmod(draw, self.batch)
        number = batch * self.batch + _order(self.seed, "batch", batch, self.batch)[inside]
        before = self._before(number)
        if self._before(number + 1) > before:
            return "cg", before
        return "real", number - before

    def clip(self, draw: int, attempt: int = 0) -> Clip:
        """The clip of sample `draw`; `attempt` > 0 gives the next ones of its source, for one that
        cannot be read.
        """
        source, count = self.place(draw)
        clips = self.by_source[source]
        epoch, inside = divmod(count, len(clips))
        order = _order(self.seed, source, epoch, len(clips))
        return clips[order[(inside + attempt) % len(clips)]]
