"""What a client knows over all its connections."""

from __future__ import annotations

from dataclasses import dataclass

from c2r.wire import OpenRequest
from engine_bridge.client.account import Account
from engine_bridge.client.clock import Clock
from engine_bridge.client.controls import Controls
from engine_bridge.client.shown import Shown
from engine_bridge.client.statistics import Meter


@dataclass(frozen=True)
class Books:
    """Frames, control changes, numbers, and what was shown; each safe to use from any thread."""

    account: Account
    controls: Controls
    meter: Meter
    shown: Shown

    @classmethod
    def empty(cls, opening: OpenRequest, clock: Clock) -> Books:
        """Those of a client that begins."""
        return cls(Account(), Controls(opening), Meter(clock), Shown(clock))
