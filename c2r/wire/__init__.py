"""The wire: the contract (`v1`) and plain dataclasses on numpy for all other packages.

Imports no torch. `pack_request` and `pack_response`, with their `unpack_` counterparts, handle the
messages of a session. Once the server has sent `Accepted`, both sides build one encoder or decoder
per direction from it: `CoarseEncoder` / `CoarseDecoder` for frames, `RenderedEncoder` /
`RenderedDecoder` for replies. Anything that breaks the contract raises `WireError`.
"""

from __future__ import annotations

from c2r.wire.coarse_stream import CoarseDecoder, CoarseEncoder
from c2r.wire.codec import default_codecs, negotiate
from c2r.wire.convert import (
    pack_request,
    pack_response,
    parse_request,
    parse_response,
    unpack_request,
    unpack_response,
)
from c2r.wire.errors import ErrorCode, Fault, WireError
from c2r.wire.frames import Camera, CoarseFrame, ResetReason
from c2r.wire.handshake import Accepted, Limits, OpenRequest, ServerInfo
from c2r.wire.rendered_stream import RenderedDecoder, RenderedEncoder
from c2r.wire.replies import DroppedFrame, DropReason, FailedFrame, FrameReply, RenderedFrame

__all__ = [
    "Accepted",
    "Camera",
    "CoarseDecoder",
    "CoarseEncoder",
    "CoarseFrame",
    "DropReason",
    "DroppedFrame",
    "ErrorCode",
    "FailedFrame",
    "Fault",
    "FrameReply",
    "Limits",
    "OpenRequest",
    "RenderedDecoder",
    "RenderedEncoder",
    "RenderedFrame",
    "ResetReason",
    "ServerInfo",
    "WireError",
    "default_codecs",
    "negotiate",
    "pack_request",
    "pack_response",
    "parse_request",
    "parse_response",
    "unpack_request",
    "unpack_response",
]
