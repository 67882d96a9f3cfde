"""The engine's side of C2R: frames leave a game here and rendered pictures come back. No torch.

The names below are imported when they are first used, gRPC with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine_bridge.client.async_client import AsyncRenderClient
    from engine_bridge.client.channel import server_info
    from engine_bridge.client.clock import monotonic_us
    from engine_bridge.client.endpoint import Endpoint, endpoint_from_files
    from engine_bridge.client.options import ClientOptions, Patience
    from engine_bridge.client.presenter import Presenter
    from engine_bridge.client.render_client import RenderClient
    from engine_bridge.client.status import State, Status
    from engine_bridge.client.stream_source import StreamReport, stream_source

__all__ = [
    "AsyncRenderClient",
    "ClientOptions",
    "Endpoint",
    "Patience",
    "Presenter",
    "RenderClient",
    "State",
    "Status",
    "StreamReport",
    "endpoint_from_files",
    "monotonic_us",
    "server_info",
    "stream_source",
]

_HOMES = {
    "AsyncRenderClient": "client.async_client",
    "ClientOptions": "client.options",
    "Endpoint": "client.endpoint",
    "Patience": "client.options",
    "Presenter": "client.presenter",
    "RenderClient": "client.render_client",
    "State": "client.status",
    "Status": "client.status",
    "StreamReport": "client.stream_source",
    "endpoint_from_files": "client.endpoint",
    "monotonic_us": "client.clock",
    "server_info": "client.channel",
    "stream_source": "client.stream_source",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
