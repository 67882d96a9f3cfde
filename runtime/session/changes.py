"""Control changes of one stream that wait for their chunk: bounded, and each acknowledged once.

A client may change its parameters as often as it likes without sending a frame. Of the changes that
wait, those that newer ones override in all they ask for have no effect any more; the oldest such
leaves when there are too many. A change sets four parameters at most, so one always can.
"""

from __future__ import annotations

from dataclasses import dataclass

from c2r.wire.events import ControlChange

MOST = 64
"""As many as a client of ours has without an acknowledgement."""
FIELDS = ("prompt", "negative_prompt", "strength", "seed")


@dataclass(frozen=True)
class PendingChange:
    """`sets`: the parameters that it asks for. The values are with the session already."""

    control_id: int
    blend_chunks: int
    sets: frozenset[str]


class PendingChanges:
    """Changes in the order they came: those whose chunk is out, then those that wait for one."""

    def __init__(self) -> None:
        self._waiting: list[PendingChange] = []
        self._out: list[PendingChange] = []

    def add(self, change: ControlChange, blend_chunks: int) -> PendingChange | None:
        """One more; gives the one that it displaces, which has no effect any more."""
        sets = frozenset(name for name in FIELDS if getattr(change, name) is not None)
        self._waiting.append(PendingChange(change.control_id, blend_chunks, sets))
        return self._displaced() if len(self._waiting) > MOST else None

    def take(self) -> None:
        """A chunk is made: those that wait are rendered with it."""
        self._out += self._waiting
        self._waiting = []

    def rendered(self) -> list[PendingChange]:
        """The chunk is rendered, and with it these changes."""
        done, self._out = self._out, []
        return done

    def failed(self) -> None:
        """The chunk gave no frames; its changes wait again."""
        self._waiting, self._out = [*self._out, *self._waiting], []

    def clear(self) -> list[PendingChange]:
        """All that are left."""
        self.failed()
        left, self._waiting = self._waiting, []
        return left

    def _displaced(self) -> PendingChange:
        newer, found = set[str](), self._waiting[0]
        for change in reversed(self._waiting):
            if change.sets <= newer:
                found = change
            newer |= change.sets
        self._waiting.remove(found)
        return found
