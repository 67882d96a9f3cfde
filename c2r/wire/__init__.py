"""The wire: one contract (`v1`), and plain dataclasses on numpy for everything else to use.

Imports no torch. Both sides work alike: `pack_request`, `pack_response` and their `unpack_` twins
for what goes to and fro during a session; once the server has said `Accepted`, one `CoarseEncoder`
or `CoarseDecoder` for frames and one `PictureEncoder` or `PictureDecoder` for replies, all made
from it. Whatever breaks the contract raises `WireError`.
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
from c2r.wire.picture_stream import PictureDecoder, PictureEncoder
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
    "PictureDecoder",
    "PictureEncoder",
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
