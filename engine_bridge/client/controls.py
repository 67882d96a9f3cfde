"""Control changes: waiting, sent, acknowledged; exactly one acknowledgement for each.

At most `MOST` wait: beyond that the oldest is merged into the next one and acknowledged as refused.
Changes without an acknowledgement when a connection breaks are sent again on the next one, before
newer ones. Safe from any thread.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace
from typing import Any

from c2r.wire import ErrorCode, Fault
from c2r.wire.events import ControlAck, ControlChange
from c2r.wire.handshake import OpenRequest

MOST = 64
_SETTINGS = ("prompt", "negative_prompt", "strength", "seed")


class Controls:
    """The settings of one client's session; `opening` holds the current ones."""

    def __init__(self, opening: OpenRequest) -> None:
        self.opening = opening
        self._lock = threading.Lock()
        self._next_id = 1
        self._waiting: deque[ControlChange] = deque()
        self._sent: dict[int, ControlChange] = {}
        self._notices: deque[ControlAck] = deque()
        self._over = ""

    def change(
        self,
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        strength: float | None = None,
        seed: int | None = None,
        blend_chunks: int | None = None,
    ) -> int:
        """Ask for a change; the id that its acknowledgement will carry. ValueError when wrong."""
        with self._lock:
            wanted = ControlChange(
                control_id=self._next_id,
                prompt=prompt,
                negative_prompt=negative_prompt,
                strength=strength,
                seed=seed,
                blend_chunks=blend_chunks,
            )
            self._next_id += 1
            if self._over:
                self._refuse(wanted, self._over)
            else:
                self._waiting.append(wanted)
                self._merge()
            return wanted.control_id

    def take(self) -> ControlChange | None:
        """The next change to send; None when there is none, or too many have no answer."""
        with self._lock:
            if not self._waiting or len(self._sent) >= MOST:
                return None
            wanted = self._waiting.popleft()
            self._sent[wanted.control_id] = wanted
            return wanted

    def acknowledge(self, ack: ControlAck) -> bool:
        """Record the server's answer; False when it answers nothing that was sent."""
        with self._lock:
            change = self._sent.pop(ack.control_id, None)
            if change is not None and ack.refused is None:
                asked = {name: getattr(change, name) for name in _SETTINGS}
                granted = {name: value for name, value in asked.items() if value is not None}
                self.opening = replace(self.opening, **granted)
            return change is not None

    def keep_seed(self, seed: int) -> None:
        """The current seed, so that a restarted server draws the same noise again."""
        with self._lock:
            self.opening = replace(self.opening, seed=seed)

    def reopen(self) -> None:
        """The connection is lost: changes without an acknowledgement wait again, in order."""
        with self._lock:
            self._waiting.extendleft(reversed(self._sent.values()))
            self._sent.clear()
            self._merge()

    def finish(self, why: str) -> None:
        """No session any more: refuse what has no acknowledgement, and all later changes."""
        with self._lock:
            self._over = why
            for change in (*self._sent.values(), *self._waiting):
                self._refuse(change, why)
            self._sent.clear()
            self._waiting.clear()

    def next_notice(self) -> ControlAck | None:
        """The next acknowledgement made by the client itself."""
        with self._lock:
            return self._notices.popleft() if self._notices else None

    def _merge(self) -> None:
        while len(self._waiting) > MOST:
            older, newer = self._waiting.popleft(), self._waiting.popleft()
            self._waiting.appendleft(_merged(older, newer))
            self._refuse(older, f"merged into control {newer.control_id} before it was sent")

    def _refuse(self, change: ControlChange, why: str) -> None:
        fault = Fault(ErrorCode.UNSPECIFIED, why)
        self._notices.append(ControlAck(change.control_id, blend_chunks=0, refused=fault))


def _merged(older: ControlChange, newer: ControlChange) -> ControlChange:
    """Both changes in one: the newer's settings, and the older's where the newer has none."""
    names = (*_SETTINGS, "blend_chunks")
    kept: dict[str, Any] = {n: getattr(older, n) for n in names if getattr(newer, n) is None}
    return replace(newer, **kept)
