"""Replies between renderer and engine: one encoder and one decoder per session."""

from __future__ import annotations

from c2r.wire.codec.colour import RENDERED_QUALITY, ColourQuality
from c2r.wire.convert import from_message, write_message
from c2r.wire.enum_map import member_of, number_of
from c2r.wire.errors import ErrorCode, Fault, WireError
from c2r.wire.handshake import Accepted
from c2r.wire.payload import ColourReader, ColourWriter
from c2r.wire.replies import (
    DroppedFrame,
    DropReason,
    FailedFrame,
    FrameReply,
    RenderedFrame,
    StageTimes,
)
from c2r.wire.v1 import renderer_pb2 as pb


class RenderedEncoder:
    """Replies of one session into responses, in the order they are sent.

    A rendered frame must not be dropped once it is encoded: in H.264 the next refers to it.
    """

    def __init__(self, accepted: Accepted, quality: ColourQuality = RENDERED_QUALITY) -> None:
        self._colour = ColourWriter(accepted.codecs.picture, accepted, quality)

    def encode(self, reply: FrameReply, *, keyframe: bool = False) -> pb.RenderStreamResponse:
        """One reply; `keyframe`: it must decode alone (after a reset, or when the client asked)."""
        response = pb.RenderStreamResponse()
        message = response.frame
        message.frame_id = reply.frame_id
        message.capture_time_us = reply.capture_time_us
        if isinstance(reply, RenderedFrame):
            message.rendered.chunk_index = reply.chunk_index
            message.rendered.stages.SetInParent()
            write_message(reply.stages, message.rendered.stages)
            self._colour.write(message.rendered.picture, reply.rgb, keyframe=keyframe)
        elif isinstance(reply, DroppedFrame):
            message.dropped.reason = number_of(reply.reason)
        else:
            message.failed.SetInParent()
            write_message(reply.fault, message.failed)
        return response


class RenderedDecoder:
    """Responses of one session back into replies, in the order they arrived.

    Raises `WireError` for a bad reply, with a path inside it; the next one may be good.
    """

    def __init__(self, accepted: Accepted) -> None:
        self._colour = ColourReader(accepted.codecs.picture, accepted)

    def decode(self, message: pb.FrameReply) -> FrameReply:
        """One reply, every field checked."""
        ids = (message.frame_id, message.capture_time_us)
        outcome = message.WhichOneof("outcome")
        if outcome is None:
            wording = "is unset; one of rendered, dropped, failed must be set"
            raise WireError(ErrorCode.MALFORMED, wording, "outcome")
        try:
            if outcome == "rendered":
                return self._rendered(ids, message.rendered)
            if outcome == "dropped":
                return DroppedFrame(*ids, member_of(DropReason, message.dropped.reason, "reason"))
            return FailedFrame(*ids, from_message(Fault, message.failed))
        except WireError as error:
            raise error.inside(outcome) from error

    def _rendered(self, ids: tuple[int, int], message: pb.RenderedFrame) -> RenderedFrame:
        try:
            rgb = self._colour.read(message.picture)
        except WireError as error:
            raise error.inside("picture") from error
        stages = from_message(StageTimes, message.stages)
        return RenderedFrame(*ids, rgb=rgb, chunk_index=message.chunk_index, stages=stages)
