"""Replies through a session's encoder and decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from c2r.wire.errors import ErrorCode, Fault, WireError
from c2r.wire.formats import Codec
from c2r.wire.handshake import Accepted
from c2r.wire.rendered_stream import RenderedDecoder, RenderedEncoder
from c2r.wire.replies import (
    DroppedFrame,
    DropReason,
    FailedFrame,
    FrameReply,
    RenderedFrame,
    StageTimes,
)
from c2r.wire.v1 import renderer_pb2 as pb
from tests.wire.round_trip import answer, same

MakeAccepted = Callable[..., Accepted]
MakeImage = Callable[..., np.ndarray]
IDR = b"\x00\x00\x01\x65"
INF = float("inf")
STAGES = StageTimes(1.0, 2.0, 3.0, 4.5, 5.0, 6.0, 7.0, 8.0, 99.0)


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.LZ4])
def test_a_rendered_frame_comes_back_the_same(
    codec: Codec, make_accepted: MakeAccepted, make_image: MakeImage
) -> None:
    accepted = make_accepted(picture=codec)
    reply = RenderedFrame(5, 77, make_image(48, 32), chunk_index=3, stages=STAGES)
    back = RenderedDecoder(accepted).decode(answer(RenderedEncoder(accepted), reply))
    assert same(back, reply)


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.H264])
def test_lossy_frames_stream_between_drops_and_faults(
    codec: Codec, make_accepted: MakeAccepted, make_image: MakeImage
) -> None:
    accepted = make_accepted(picture=codec)
    encoder, decoder = RenderedEncoder(accepted), RenderedDecoder(accepted)
    replies: list[FrameReply] = [
        RenderedFrame(1, 10, make_image(48, 32)),
        DroppedFrame(2, 20, DropReason.SUPERSEDED),
        RenderedFrame(3, 30, make_image(48, 32, 4.0)),
        FailedFrame(4, 40, Fault(ErrorCode.TOO_LARGE, "is too large", "colour")),
        RenderedFrame(5, 50, make_image(48, 32, 8.0)),
    ]
    for reply in replies:
        back = decoder.decode(answer(encoder, reply))
        if isinstance(reply, RenderedFrame):
            assert isinstance(back, RenderedFrame)
            assert np.abs(back.rgb.astype(int) - reply.rgb).mean() <= 4
            back = dataclasses.replace(back, rgb=reply.rgb)
        assert same(back, reply)


def test_a_client_that_lost_a_frame_can_ask_for_an_idr_frame(
    make_accepted: MakeAccepted, make_image: MakeImage
) -> None:
    accepted = make_accepted(picture=Codec.H264)
    encoder, decoder = RenderedEncoder(accepted), RenderedDecoder(accepted)
    reply = RenderedFrame(1, 10, make_image(48, 32))
    decoder.decode(answer(encoder, reply))
    broken = answer(encoder, reply)
    broken.rendered.picture.payload.data = b"\x00\x00\x01\x41"
    for message in (broken, answer(encoder, reply)):
        with pytest.raises(WireError) as caught:
            decoder.decode(message)
    assert caught.value.code is ErrorCode.NEEDS_KEYFRAME
    assert isinstance(decoder.decode(answer(encoder, reply, keyframe=True)), RenderedFrame)


def test_a_reply_without_an_outcome_is_malformed(make_accepted: MakeAccepted) -> None:
    with pytest.raises(WireError, match="outcome"):
        RenderedDecoder(make_accepted()).decode(pb.FrameReply(frame_id=1))
