"""When a run saves, when it stops early, and how long it still takes.

Clusters take machines away with a warning: SIGTERM, or SIGUSR1 where the scheduler was told so. The
step that runs is then finished, a checkpoint is written, and the run ends well; the same command
goes on from there.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from types import FrameType
from typing import Any

import torch

from trainer.dist.parallel import World
from trainer.settings import CheckpointConfig

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopSignals(AbstractContextManager["StopSignals"]):
    """Remembers the first of `SIGNALS` that comes inside the block, where that runs in a process's
    main thread; the handlers of before are there again afterwards.
    """

    def __init__(self) -> None:
        self.asked: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopSignals:
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._ask) for one in SIGNALS}
        return self

    def __exit__(self, *error: object) -> None:
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self.asked = self.asked or signal.Signals(number)


class Pace:
    """The clock of a run's steps, from step `first` of `steps` on."""

    def __init__(
        self,
        config: CheckpointConfig,
        world: World,
        first: int,
        steps: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self.world, self.first, self.steps = config, world, first, steps
        self._clock = clock
        self._begun_s = self._saved_s = clock()

    def after(self, step: int, stop: StopSignals) -> tuple[bool, bool]:
        """Whether `step` steps are to be saved, and whether the run stops with them.

        Each process has its own clock and signals, so what one of them wants, all do.
        """
        minutes = (self._clock() - self._saved_s) / 60
        late = bool(self.config.minutes) and minutes >= self.config.minutes
        wants = torch.tensor([float(late), float(stop.asked is not None)])
        late, stopped = (self.world.total(wants.to(self.world.device)) > 0).tolist()
        save = late or stopped or step % self.config.every == 0
        if save:
            self._saved_s = self._clock()
        return save, stopped

    def left(self, step: int) -> str:
        """How long the steps after `step` take, at the pace of those of this process."""
        seconds = (self._clock() - self._begun_s) / (step - self.first) * (self.steps - step)
        minutes = seconds / 60
        if minutes < 2:
            return f"{seconds:.0f} s left"
        return f"{minutes:.0f} min left" if minutes < 120 else f"{minutes / 60:.1f} h left"
