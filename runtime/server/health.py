"""The standard health service, `grpc.health.v1`, and reflection: both packages of their own."""

from __future__ import annotations

from typing import Any

import grpc.aio

from runtime.server.service import SERVICE


class Health:
    """Says whether sessions are served. `off`: says nothing, and needs no package."""

    def __init__(self, *, off: bool = False) -> None:
        self._servicer: Any = None
        if not off:
            from grpc_health.v1 import health

            self._servicer = health.aio.HealthServicer()

    def add_to(self, server: grpc.aio.Server) -> None:
        """Answer health checks there."""
        if self._servicer is not None:
            from grpc_health.v1 import health_pb2_grpc

            health_pb2_grpc.add_HealthServicer_to_server(self._servicer, server)

    async def say(self, *, serving: bool) -> None:
        """What checks are answered from now on."""
        if self._servicer is None:
            return
        from grpc_health.v1 import health_pb2

        status = health_pb2.HealthCheckResponse
        for name in ("", SERVICE):
            await self._servicer.set(name, status.SERVING if serving else status.NOT_SERVING)

    async def close(self) -> None:
        """NOT_SERVING from now on, whatever is said later."""
        if self._servicer is not None:
            await self._servicer.enter_graceful_shutdown()


def add_reflection(server: grpc.aio.Server) -> None:
    """Let tools ask which calls there are."""
    from grpc_health.v1 import health
    from grpc_reflection.v1alpha import reflection

    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME), server)
