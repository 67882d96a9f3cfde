"""The engine's side of C2R: frames leave a game here and rendered pictures come back. No torch.

The names below are imported when they are first used, gRPC with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine_bridge.async_client import AsyncRenderClient
    from engine_bridge.channel import server_info
    from engine_bridge.client import RenderClient
    from engine_bridge.clock import monotonic_us
    from engine_bridge.endpoint import Endpoint, endpoint_from_files
    from engine_bridge.options import ClientOptions, Patience
    from engine_bridge.presenter import Presenter
    from engine_bridge.status import State, Status
    from engine_bridge.streaming import StreamReport, stream_source

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
    "AsyncRenderClient": "async_client",
    "ClientOptions": "options",
    "Endpoint": "endpoint",
    "Patience": "options",
    "Presenter": "presenter",
    "RenderClient": "client",
    "State": "status",
    "Status": "status",
    "StreamReport": "streaming",
    "endpoint_from_files": "endpoint",
    "monotonic_us": "clock",
    "server_info": "channel",
    "stream_source": "streaming",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
