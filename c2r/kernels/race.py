"""How much faster one way of computing is than another, on a machine that others share."""

from __future__ import annotations

import time
from collections.abc import Callable

TURNS = 8


def gain(plain: Callable[[], object], other: Callable[[], object]) -> float:
    """Time of `plain` over that of `other`.

    The best of several turns, one after the other, so that other work disturbs both.
    """
    best_s = [float("inf"), float("inf")]
    for _ in range(TURNS):
        for index, run in enumerate((plain, other)):
            begun_s = time.perf_counter()
            run()
            best_s[index] = min(best_s[index], time.perf_counter() - begun_s)
    return best_s[0] / best_s[1]
