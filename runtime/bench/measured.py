"""What a bench run took, whichever way the frames came."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Measured:
    """Times of the measured chunks, milliseconds, the cache being full from the first of them on.

    `ttff_cold_ms`: to the first pictures of the first stream ever, `ttff_warm_ms` of a later one.
    `busy_ms`: from the first measured chunk's beginning to the last one's end, K/V writes included.
    `chunk_ms`: from a chunk's pictures to the next one's, or between their first replies.
    `left_out` says in words what the times do not contain.
    """

    ttff_cold_ms: float = 0.0
    ttff_warm_ms: float = 0.0
    frames_sent: int = 0
    frames_rendered: int = 0
    frames_dropped: int = 0
    busy_ms: float = 0.0
    latency_ms: list[float] = field(default_factory=list)
    chunk_ms: list[float] = field(default_factory=list)
    stages_ms: dict[str, list[float]] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()

    def note(self, stages_ms: dict[str, float]) -> None:
        """Add one chunk's stage times."""
        for name, value in stages_ms.items():
            self.stages_ms.setdefault(name, []).append(value)
