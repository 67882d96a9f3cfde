"""The keys of `c2r play` that change the world: prompts and strength. Pure logic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STRENGTH_STEP = 0.1
MOST_STRENGTH = 2.0
WEAKER, STRONGER, COMPARE = "-", "=", "v"
HELP = "1-9: prompts; - and =: strength; v: coarse frames or pictures"


class Knobs:
    """What the keys have set so far. `prompts`: for the keys 1 to 9; the first is in force.

    `coarse`: the player wants to see the coarse frames.
    """

    def __init__(self, prompts: list[str], strength: float = 1.0) -> None:
        self.prompts, self.strength = prompts[:9], strength
        self.coarse = False
        self._held: set[str] = set()

    def turn(self, is_down: Callable[[str], bool]) -> dict[str, Any]:
        """Look at the keys; what has changed, as arguments of `set_control`.

        A key counts once, when it goes down.
        """
        digits = [str(index + 1) for index in range(len(self.prompts))]
        down = {key for key in (*digits, WEAKER, STRONGER, COMPARE) if is_down(key)}
        fresh, self._held = down - self._held, down
        if COMPARE in fresh:
            self.coarse = not self.coarse
        changes: dict[str, Any] = {}
        for digit in sorted(fresh.intersection(digits)):
            changes["prompt"] = self.prompts[int(digit) - 1]
        step = STRENGTH_STEP * ((STRONGER in fresh) - (WEAKER in fresh))
        if step:
            self.strength = round(min(MOST_STRENGTH, max(0.0, self.strength + step)), 2)
            changes["strength"] = self.strength
        return changes
