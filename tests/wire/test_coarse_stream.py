"""Coarse frames through a session's encoder and decoder."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2r.wire.coarse_stream import CoarseDecoder, CoarseEncoder
from c2r.wire.enum_map import number_of
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, PixelFormat, RowOrder, SideChannel
from c2r.wire.frames import Camera, CoarseFrame, ResetReason
from c2r.wire.handshake import Accepted
from tests.wire.round_trip import same, send

MakeAccepted = Callable[..., Accepted]
MakeImage = Callable[..., np.ndarray]
IDR = b"\x00\x00\x01\x65"
INF = float("inf")


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.LZ4])
def test_a_full_frame_comes_back_the_same(
    codec: Codec, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(coarse=codec, plane=codec)
    back = CoarseDecoder(accepted).decode(send(CoarseEncoder(accepted), full_frame))
    assert same(back, full_frame)


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.H264])
def test_a_lossy_codec_keeps_everything_but_the_colour(
    codec: Codec, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(coarse=codec, plane=Codec.ZSTD)
    back = CoarseDecoder(accepted).decode(send(CoarseEncoder(accepted), full_frame))
    assert np.abs(back.rgb.astype(int) - full_frame.rgb).mean() <= 4
    assert same(dataclasses.replace(back, rgb=full_frame.rgb), full_frame)


@settings(deadline=None, max_examples=50, derandomize=True)
@given(
    ids=st.integers(0, (1 << 64) - 1),
    time=st.integers(0, (1 << 64) - 1),
    delta=st.floats(0, 1e9),
    jitter=st.tuples(st.floats(-0.5, 0.5), st.floats(-0.5, 0.5)),
    exposure=st.floats(0, 1e9, exclude_min=True),
    reset=st.none() | st.sampled_from(ResetReason),
    seed=st.integers(0, 1 << 32),
)
def test_any_frame_comes_back_the_same(
    ids: int,
    time: int,
    delta: float,
    jitter: tuple[float, float],
    exposure: float,
    reset: ResetReason | None,
    seed: int,
    make_accepted: MakeAccepted,
) -> None:
    rng = np.random.default_rng(seed)
    accepted = make_accepted(coarse=Codec.ZSTD, plane=Codec.LZ4, width=7, height=5)
    frame = CoarseFrame(
        frame_id=ids,
        capture_time_us=time,
        rgb=rng.integers(0, 256, (5, 7, 3), dtype=np.uint8),
        frame_delta_ms=delta,
        depth=rng.uniform(0, 1e4, (3, 4)).astype(np.float32) if seed % 2 else None,
        motion=rng.normal(0, 99, (2, 9, 2)).astype(np.float16) if seed % 3 else None,
        jitter=jitter,
        pre_exposure=exposure,
        reset=reset,
    )
    back = CoarseDecoder(accepted).decode(send(CoarseEncoder(accepted), frame))
    assert same(back, frame)


def test_side_channels_that_were_not_granted_are_not_sent(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(side_channels=(SideChannel.CAMERA,))
    message = send(CoarseEncoder(accepted), full_frame)
    assert not message.HasField("depth")
    assert not message.HasField("motion")
    assert CoarseDecoder(accepted).decode(message).camera is not None


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.JPEG, Codec.H264])
def test_rows_that_come_bottom_first_are_turned_over(
    codec: Codec, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(coarse=codec)
    assert full_frame.depth is not None
    assert full_frame.motion is not None
    upside_down = dataclasses.replace(
        full_frame,
        rgb=full_frame.rgb[::-1],
        depth=full_frame.depth[::-1],
        motion=full_frame.motion[::-1],
    )
    message = send(CoarseEncoder(accepted), upside_down)
    for part in (message.colour, message.depth, message.motion):
        part.payload.row_order = number_of(RowOrder.BOTTOM_FIRST)
    back = CoarseDecoder(accepted).decode(message)
    assert np.abs(back.rgb.astype(int) - full_frame.rgb).mean() <= 4
    assert back.rgb.flags.c_contiguous
    assert same(back.depth, full_frame.depth)
    assert same(back.motion, full_frame.motion)


@pytest.mark.parametrize("layout", [PixelFormat.RGBA8, PixelFormat.BGRA8])
def test_four_byte_pixels_are_taken(
    layout: PixelFormat, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    message = send(CoarseEncoder(make_accepted()), full_frame)
    order = [0, 1, 2] if layout is PixelFormat.RGBA8 else [2, 1, 0]
    pixels = np.full((32, 48, 4), 9, np.uint8)
    pixels[..., :3] = full_frame.rgb[..., order]
    message.colour.payload.data = pixels.tobytes()
    message.colour.pixel_format = number_of(layout)
    back = CoarseDecoder(make_accepted()).decode(message)
    np.testing.assert_array_equal(back.rgb, full_frame.rgb)


def test_a_camera_keeps_positions_far_from_the_origin(
    make_accepted: MakeAccepted, full_frame: CoarseFrame, camera: Camera
) -> None:
    far = dataclasses.replace(camera, position=np.array([1e7 + 0.001, 0, 0]))
    frame = dataclasses.replace(full_frame, camera=far)
    back = CoarseDecoder(make_accepted()).decode(send(CoarseEncoder(make_accepted()), frame))
    assert back.camera is not None
    assert back.camera.position[0] == 1e7 + 0.001


def test_h264_stays_in_step_when_only_a_side_channel_is_bad(
    make_accepted: MakeAccepted, full_frame: CoarseFrame, make_image: MakeImage
) -> None:
    accepted = make_accepted(coarse=Codec.H264)
    encoder, decoder = CoarseEncoder(accepted), CoarseDecoder(accepted)
    for at in range(6):
        frame = dataclasses.replace(full_frame, frame_id=at, rgb=make_image(48, 32, 3.0 * at))
        message = send(encoder, frame)
        if at == 2:
            message.camera.fov_y = 99
            with pytest.raises(WireError):
                decoder.decode(message)
        else:
            back = decoder.decode(message)
            assert np.abs(back.rgb.astype(int) - frame.rgb).mean() <= 4


def test_h264_resets_with_an_idr_frame_and_asks_for_one_after_a_gap(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(coarse=Codec.H264)
    encoder, decoder = CoarseEncoder(accepted), CoarseDecoder(accepted)
    frames = [dataclasses.replace(full_frame, frame_id=at) for at in range(6)]
    frames[4] = dataclasses.replace(frames[4], reset=ResetReason.CUT)
    messages = [send(encoder, frame) for frame in frames]
    keys = [at for at, message in enumerate(messages) if IDR in message.colour.payload.data]
    assert keys == [0, 4]
    decoder.decode(messages[0])
    decoder.skip(messages[1])
    with pytest.raises(WireError) as caught:
        decoder.decode(messages[2])
    assert caught.value.code is ErrorCode.NEEDS_KEYFRAME
    assert decoder.decode(messages[4]).reset is ResetReason.CUT
    assert IDR in encoder.encode(frames[5], keyframe=True).frame.colour.payload.data
