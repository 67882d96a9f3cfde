"""H.264: order, keyframes, loss, and one frame per payload."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from c2r.wire.codec import make_decoder, make_encoder
from c2r.wire.codec.h264 import H264Encoder
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec

MakeImage = Callable[..., np.ndarray]
IDR = b"\x00\x00\x01\x65"
TOLERANCE = 4.0
"""Mean absolute error in 8-bit steps, at crf 20 on smooth images in 4:2:0."""


def stream(
    make_image: MakeImage, width: int, height: int, keyframes: tuple[int, ...] = ()
) -> list[bytes]:
    encoder = make_encoder(Codec.H264, width, height, 16.0)
    return [
        encoder.encode(make_image(width, height, 2.0 * at), keyframe=at in keyframes)
        for at in range(10)
    ]


@pytest.mark.parametrize("size", [(48, 32), (130, 98), (256, 144), (66, 34)])
def test_a_stream_comes_back_frame_for_frame(make_image: MakeImage, size: tuple[int, int]) -> None:
    decoder = make_decoder(Codec.H264, *size)
    for at, data in enumerate(stream(make_image, *size)):
        back = decoder.decode(data, None)
        error = np.abs(back.astype(int) - make_image(*size, 2.0 * at)).mean()
        assert error <= TOLERANCE, at


def test_colours_keep_their_channels_and_full_range() -> None:
    for colour in ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0)):
        flat = np.broadcast_to(np.array(colour, np.uint8), (32, 48, 3))
        data = make_encoder(Codec.H264, 48, 32, 16.0).encode(flat)
        back = make_decoder(Codec.H264, 48, 32).decode(data, None)
        assert np.abs(back.astype(int) - flat).max() <= 3


@pytest.mark.parametrize(
    ("matrix", "signalled"),
    [(Colorspace.ITU709, 2), (Colorspace.ITU709, 1), (Colorspace.ITU601, 6)],
)
@pytest.mark.parametrize(
    ("value_range", "range_signalled"),
    [(ColorRange.MPEG, 0), (ColorRange.MPEG, 1), (ColorRange.JPEG, 2)],
)
def test_streams_of_other_encoders_keep_their_colours(
    matrix: Colorspace, signalled: int, value_range: ColorRange, range_signalled: int
) -> None:
    context = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 48, 32, "yuv420p"
    context.time_base = Fraction(1, 24)
    context.colorspace, context.color_range = signalled, range_signalled
    context.options = {"tune": "zerolatency", "crf": "4"}
    flat = np.full((32, 48, 3), (200, 90, 30), np.uint8)
    frame = av.VideoFrame.from_ndarray(flat, format="rgb24")
    frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=value_range)
    frame.colorspace, frame.color_range = signalled, range_signalled
    data = b"".join(bytes(packet) for packet in context.encode(frame))
    back = make_decoder(Codec.H264, 48, 32).decode(data, None)
    assert np.abs(back.astype(int) - flat).max() <= 3


def test_only_the_first_and_the_wanted_frames_are_idr(make_image: MakeImage) -> None:
    payloads = stream(make_image, 48, 32, keyframes=(4,))
    assert [at for at, data in enumerate(payloads) if IDR in data] == [0, 4]


def test_a_decoder_can_join_at_an_idr_frame_only(make_image: MakeImage) -> None:
    payloads = stream(make_image, 48, 32, keyframes=(4,))
    decoder = make_decoder(Codec.H264, 48, 32)
    for data in payloads[1:4]:
        with pytest.raises(WireError) as caught:
            decoder.decode(data, None)
        assert caught.value.code is ErrorCode.NEEDS_KEYFRAME
    back = decoder.decode(payloads[4], None)
    assert np.abs(back.astype(int) - make_image(48, 32, 8.0)).mean() <= TOLERANCE


def test_after_a_loss_nothing_is_guessed_until_an_idr_frame(make_image: MakeImage) -> None:
    payloads = stream(make_image, 48, 32, keyframes=(5,))
    decoder = make_decoder(Codec.H264, 48, 32)
    decoder.decode(payloads[0], None)
    decoder.lose()
    with pytest.raises(WireError, match="IDR"):
        decoder.decode(payloads[2], None)
    assert decoder.decode(payloads[5], None).shape == (32, 48, 3)


def test_a_broken_frame_takes_the_following_ones_with_it(make_image: MakeImage) -> None:
    payloads = stream(make_image, 256, 144, keyframes=(5,))
    decoder = make_decoder(Codec.H264, 256, 144)
    decoder.decode(payloads[0], None)
    with pytest.raises(WireError) as caught:
        decoder.decode(payloads[1][: len(payloads[1]) // 2], None)
    assert caught.value.code is ErrorCode.MALFORMED
    with pytest.raises(WireError) as caught:
        decoder.decode(payloads[2], None)
    assert caught.value.code is ErrorCode.NEEDS_KEYFRAME
    back = decoder.decode(payloads[5], None)
    assert np.abs(back.astype(int) - make_image(256, 144, 10.0)).mean() <= TOLERANCE


def test_several_frames_in_one_payload_are_refused(make_image: MakeImage) -> None:
    payloads = stream(make_image, 48, 32)
    with pytest.raises(WireError, match="holds 3"):
        make_decoder(Codec.H264, 48, 32).decode(b"".join(payloads[:3]), None)


@pytest.mark.parametrize("size", [(64, 32), (32, 32), (128, 128)])
def test_another_size_than_the_session_is_refused(
    make_image: MakeImage, size: tuple[int, int]
) -> None:
    decoder = make_decoder(Codec.H264, 48, 32)
    with pytest.raises(WireError):
        decoder.decode(stream(make_image, *size)[0], None)
    assert decoder.decode(stream(make_image, 48, 32)[0], None).shape == (32, 48, 3)


@pytest.mark.parametrize("size", [(47, 32), (48, 33)])
def test_odd_sides_are_refused_with_a_way_out(size: tuple[int, int]) -> None:
    with pytest.raises(WireError, match="use jpeg"):
        H264Encoder(*size, fps=16.0, crf=20)
    with pytest.raises(WireError, match="use jpeg"):
        make_decoder(Codec.H264, *size)


@pytest.mark.parametrize("fps", [16, 29.97, 59.94, 0.5, 240])
def test_any_rate_makes_an_encoder(make_image: MakeImage, fps: float) -> None:
    encoder = make_encoder(Codec.H264, 48, 32, fps)
    for at in range(3):
        assert encoder.encode(make_image(48, 32, at))
