"""The engine's side of C2R: coarse frames leave a game here, rendered frames come back. No torch.

The names below are imported when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from c2r.wire import (
        Camera,
        CoarseFrame,
        DroppedFrame,
        DropReason,
        FailedFrame,
        FrameReply,
        RenderedFrame,
        ResetReason,
    )
    from engine_bridge.client import (
        AsyncRenderClient,
        ClientOptions,
        Endpoint,
        Patience,
        Presenter,
        RenderClient,
        State,
        Status,
        StreamReport,
        endpoint_from_files,
        monotonic_us,
        server_info,
        stream_source,
    )

_WIRE = (
    "Camera",
    "CoarseFrame",
    "DropReason",
    "DroppedFrame",
    "FailedFrame",
    "FrameReply",
    "RenderedFrame",
    "ResetReason",
)
__all__ = [
    "AsyncRenderClient",
    "Camera",
    "ClientOptions",
    "CoarseFrame",
    "DropReason",
    "DroppedFrame",
    "Endpoint",
    "FailedFrame",
    "FrameReply",
    "Patience",
    "Presenter",
    "RenderClient",
    "RenderedFrame",
    "ResetReason",
    "State",
    "Status",
    "StreamReport",
    "endpoint_from_files",
    "monotonic_us",
    "server_info",
    "stream_source",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("c2r.wire" if name in _WIRE else "engine_bridge.client"), name)
