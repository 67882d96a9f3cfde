"""What the outside is told of the server's health, and when sessions show that it is broken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc.aio

from runtime.server.service import SERVICE
from runtime.session.session import Session

ENOUGH = 2
"""Sessions given up in a row: one alone may have asked for what no renderer survives."""


class Health:
    """`grpc.health.v1`: whether sessions are served. `off`: needs no package and says nothing."""

    def __init__(self, *, off: bool = False) -> None:
        self._servicer: Any = None
        if not off:
            from grpc_health.v1 import health

            self._servicer = health.aio.HealthServicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        if self._servicer is not None:
            from grpc_health.v1 import health_pb2_grpc

            health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def set(self, *, serving: bool) -> None:
        if self._servicer is None:
            return
        from grpc_health.v1 import health_pb2

        status = health_pb2.HealthCheckResponse
        for name in ("", SERVICE):
            await self._servicer.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def close(self) -> None:
        """NOT_SERVING from now on, whatever is set later."""
        if self._servicer is not None:
            await self._servicer.enter_graceful_shutdown()


class SessionVerdict:
    """Whether the renderer works, judged by its sessions alone.

    Broken: the last `ENOUGH` sessions that were over were all given up, after chunks that failed in
    a row, and none that is open renders. The next session that is over with rendered chunks, and
    not given up, shows that it works.
    """

    def __init__(self) -> None:
        self._given_up = 0

    def over(self, session: Session, active: Iterable[Session]) -> bool:
        """A session's stream is over; whether the renderer works."""
        if session.gave_up:
            self._given_up += 1
        elif session.stats.chunks:
            self._given_up = 0
        return self._given_up < ENOUGH or any(one.renders for one in active)
