"""How long to wait before trying again: longer each time, and never in step with others."""

from __future__ import annotations

from random import Random


class Backoff:
    """Seconds between attempts: `first` doubled up to `most`, each times a share in [1/2, 1]."""

    def __init__(self, first: float, most: float, random: Random | None = None) -> None:
        self.first, self.most = first, most
        self._random = random or Random()
        self._wait = first

    def next(self) -> float:
        """The wait before the next attempt."""
        wait = self._wait * self._random.uniform(0.5, 1.0)
        self._wait = min(self.most, 2 * self._wait)
        return wait

    def reset(self) -> None:
        """An attempt succeeded: start over."""
        self._wait = self.first
