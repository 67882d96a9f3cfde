"""Bad coarse frames: refused with the path of the field, and the next frame is good."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from c2r.wire.coarse_stream import CoarseDecoder, CoarseEncoder
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import SideChannel
from c2r.wire.frames import CoarseFrame
from c2r.wire.handshake import Accepted
from c2r.wire.v1 import renderer_pb2 as pb
from tests.wire.round_trip import send

MakeAccepted = Callable[..., Accepted]
MakeImage = Callable[..., np.ndarray]
IDR = b"\x00\x00\x01\x65"
INF = float("inf")


def spoil(message: pb.CoarseFrame, path: str, value: object) -> None:
    *parents, last = path.split(".")
    for name in parents:
        message = getattr(message, name)
    if isinstance(value, list):
        getattr(message, last)[:] = value
    else:
        setattr(message, last, value)


@pytest.mark.parametrize(
    ("path", "value", "field", "code"),
    [
        ("jitter_x", 0.6, "jitter_x", ErrorCode.INVALID),
        ("pre_exposure", 0.0, "pre_exposure", ErrorCode.INVALID),
        ("frame_delta_ms", float("nan"), "frame_delta_ms", ErrorCode.INVALID),
        ("camera.up", [0.0, 0.0, 0.0], "camera.up", ErrorCode.INVALID),
        ("camera.up", [1.0], "camera.up", ErrorCode.INVALID),
        ("camera.view_to_clip", [1.0] * 15, "camera.view_to_clip", ErrorCode.INVALID),
        ("camera.fov_y", 60.0, "camera.fov_y", ErrorCode.INVALID),
        ("colour.payload.width", 49, "colour.payload", ErrorCode.INVALID),
        ("colour.payload.codec", 4, "colour.payload.codec", ErrorCode.UNSUPPORTED),
        ("colour.payload.codec", 0, "colour.payload.codec", ErrorCode.UNSUPPORTED),
        ("colour.payload.row_order", 9, "", None),
        ("colour.pixel_format", 9, "colour.pixel_format", ErrorCode.UNSUPPORTED),
        ("colour.pixel_format", 0, "colour.pixel_format", ErrorCode.MALFORMED),
        ("colour.payload.data", b"", "colour", ErrorCode.MALFORMED),
        ("depth.format", 0, "depth.format", ErrorCode.UNSUPPORTED),
        ("depth.format", 2, "", None),
        ("depth.meters_per_unit", -1.0, "depth.meters_per_unit", ErrorCode.INVALID),
        ("depth.payload.width", 257, "depth.width", ErrorCode.TOO_LARGE),
        ("depth.payload.height", 0, "depth.height", ErrorCode.INVALID),
        ("motion.payload.codec", 2, "motion.payload.codec", ErrorCode.UNSUPPORTED),
        ("motion.payload.data", b"abc", "motion", ErrorCode.MALFORMED),
        ("reset.reason", 99, "", None),
    ],
)
def test_a_bad_field_is_named_and_the_next_frame_is_fine(
    path: str,
    value: object,
    field: str,
    code: ErrorCode | None,
    make_accepted: MakeAccepted,
    full_frame: CoarseFrame,
) -> None:
    encoder, decoder = CoarseEncoder(make_accepted()), CoarseDecoder(make_accepted())
    message = send(encoder, full_frame)
    spoil(message, path, value)
    if code is None:
        decoder.decode(message)
    else:
        with pytest.raises(WireError) as caught:
            decoder.decode(message)
        assert (caught.value.field, caught.value.code) == (field, code)
    decoder.decode(send(encoder, dataclasses.replace(full_frame, frame_id=42)))


@pytest.mark.parametrize("part", ["colour", "depth", "motion", "camera"])
def test_an_empty_part_is_refused_not_crashed_on(
    part: str, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    message = send(CoarseEncoder(make_accepted()), full_frame)
    getattr(message, part).Clear()
    with pytest.raises(WireError) as caught:
        CoarseDecoder(make_accepted()).decode(message)
    assert caught.value.field.startswith(part)


@pytest.mark.parametrize("channel", SideChannel)
def test_side_channels_that_were_not_granted_are_refused(
    channel: SideChannel, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    message = send(CoarseEncoder(make_accepted()), full_frame)
    granted = tuple(other for other in SideChannel if other is not channel)
    with pytest.raises(WireError, match="not granted") as caught:
        CoarseDecoder(make_accepted(side_channels=granted)).decode(message)
    assert caught.value.field == channel.value


@pytest.mark.parametrize("second", [41, 40, 0])
def test_frame_ids_go_up(second: int, make_accepted: MakeAccepted, full_frame: CoarseFrame) -> None:
    encoder, decoder = CoarseEncoder(make_accepted()), CoarseDecoder(make_accepted())
    decoder.decode(send(encoder, full_frame))
    with pytest.raises(WireError) as caught:
        decoder.decode(send(encoder, dataclasses.replace(full_frame, frame_id=second)))
    assert (caught.value.field, caught.value.code) == ("frame_id", ErrorCode.OUT_OF_ORDER)
    decoder.decode(send(encoder, dataclasses.replace(full_frame, frame_id=99)))


def test_a_bad_frame_does_not_use_up_its_id(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    encoder, decoder = CoarseEncoder(make_accepted()), CoarseDecoder(make_accepted())
    message = send(encoder, dataclasses.replace(full_frame, frame_id=(1 << 64) - 1))
    message.jitter_x = 7
    with pytest.raises(WireError):
        decoder.decode(message)
    decoder.decode(send(encoder, full_frame))


def test_a_frame_of_another_size_is_refused_on_both_sides(
    make_accepted: MakeAccepted, full_frame: CoarseFrame, make_image: MakeImage
) -> None:
    larger = dataclasses.replace(full_frame, rgb=make_image(64, 32))
    with pytest.raises(WireError, match="agreed 48x32"):
        CoarseEncoder(make_accepted()).encode(larger)
    message = send(CoarseEncoder(make_accepted(width=64)), larger)
    with pytest.raises(WireError, match="agreed 48x32"):
        CoarseDecoder(make_accepted()).decode(message)
