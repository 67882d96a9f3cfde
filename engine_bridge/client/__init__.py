"""The client that games use: coarse frames out, rendered frames in.

The names below are imported when they are first used; gRPC only when a client is started.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine_bridge.client.async_client import AsyncRenderClient
    from engine_bridge.client.channel import server_info
    from engine_bridge.client.endpoint import Endpoint, endpoint_from_files
    from engine_bridge.client.options import ClientOptions, Patience
    from engine_bridge.client.presenter import Presenter, View
    from engine_bridge.client.render_client import RenderClient
    from engine_bridge.client.source_run import StreamReport, stream_source
    from engine_bridge.client.statistics import ClientStatistics, monotonic_us
    from engine_bridge.client.status import State, Status

__all__ = [
    "AsyncRenderClient",
    "ClientOptions",
    "ClientStatistics",
    "Endpoint",
    "Patience",
    "Presenter",
    "RenderClient",
    "State",
    "Status",
    "StreamReport",
    "View",
    "endpoint_from_files",
    "monotonic_us",
    "server_info",
    "stream_source",
]

_MODULES = {
    "AsyncRenderClient": "async_client",
    "ClientOptions": "options",
    "ClientStatistics": "statistics",
    "Endpoint": "endpoint",
    "Patience": "options",
    "Presenter": "presenter",
    "RenderClient": "render_client",
    "State": "status",
    "Status": "status",
    "StreamReport": "source_run",
    "View": "presenter",
    "endpoint_from_files": "endpoint",
    "monotonic_us": "statistics",
    "server_info": "channel",
    "stream_source": "source_run",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
