"""Frames and replies through a session's encoders and decoders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from c2r.wire.coarse_stream import CoarseDecoder, CoarseEncoder
from c2r.wire.convert import parse_request, parse_response, unpack_request, unpack_response
from c2r.wire.enum_map import number_of
from c2r.wire.errors import ErrorCode, Fault, WireError
from c2r.wire.formats import Codec, DepthFormat, PixelFormat, RowOrder, SideChannel
from c2r.wire.frames import Camera, CoarseFrame, ResetReason
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

MakeAccepted = Callable[..., Accepted]
MakeImage = Callable[..., np.ndarray]
IDR = b"\x00\x00\x01\x65"
INF = float("inf")


def send(encoder: CoarseEncoder, frame: CoarseFrame) -> pb.CoarseFrame:
    message = unpack_request(parse_request(encoder.encode(frame).SerializeToString()))
    assert isinstance(message, pb.CoarseFrame)
    return message


def answer(encoder: RenderedEncoder, reply: FrameReply, *, keyframe: bool = False) -> pb.FrameReply:
    response = encoder.encode(reply, keyframe=keyframe)
    message = unpack_response(parse_response(response.SerializeToString()))
    assert isinstance(message, pb.FrameReply)
    return message


def same(one: object, other: object) -> bool:
    """Equality of dataclasses that hold arrays."""
    if dataclasses.is_dataclass(one) and not isinstance(one, type):
        names = [field.name for field in dataclasses.fields(one)]
        return type(one) is type(other) and all(
            same(getattr(one, name), getattr(other, name)) for name in names
        )
    if isinstance(one, np.ndarray) and isinstance(other, np.ndarray):
        return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=one.dtype != "u1")
    return one == other


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


def test_side_channels_that_were_not_granted_stay_home(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted(side_channels=(SideChannel.CAMERA,))
    message = send(CoarseEncoder(accepted), full_frame)
    assert not message.HasField("depth")
    assert not message.HasField("motion")
    assert CoarseDecoder(accepted).decode(message).camera is not None


@pytest.mark.parametrize("channel", SideChannel)
def test_side_channels_that_were_not_granted_are_refused(
    channel: SideChannel, make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    message = send(CoarseEncoder(make_accepted()), full_frame)
    granted = tuple(other for other in SideChannel if other is not channel)
    with pytest.raises(WireError, match="not granted") as caught:
        CoarseDecoder(make_accepted(side_channels=granted)).decode(message)
    assert caught.value.field == channel.value


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


def test_half_precision_depth_costs_half_and_loses_little(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted()
    message = send(CoarseEncoder(accepted, depth_format=DepthFormat.F16), full_frame)
    assert len(message.depth.payload.data) == 20 * 30 * 2
    back = CoarseDecoder(accepted).decode(message).depth
    assert back is not None
    assert full_frame.depth is not None
    np.testing.assert_allclose(back, full_frame.depth, rtol=1e-3)


def test_depth_in_u16_has_a_scale_and_a_sky(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    message = send(CoarseEncoder(make_accepted()), full_frame)
    message.depth.payload.data = np.array([[0, 1000], [65534, 65535]], "<u2").tobytes()
    message.depth.payload.width = message.depth.payload.height = 2
    message.depth.format = pb.DEPTH_FORMAT_U16
    message.depth.meters_per_unit = 0.01
    back = CoarseDecoder(make_accepted()).decode(message).depth
    assert back is not None
    np.testing.assert_allclose(back, [[0, 10.0], [655.34, INF]], rtol=1e-6)


def device_message(
    accepted: Accepted, frame: CoarseFrame, stored: np.ndarray, layout: DepthFormat
) -> pb.CoarseFrame:
    message = send(CoarseEncoder(accepted), frame)
    payload = message.depth.payload
    payload.data, payload.width, payload.height = stored.tobytes(), stored.shape[1], stored.shape[0]
    message.depth.format = number_of(layout)
    device = message.depth.device
    device.near_plane, device.far_plane, device.view_space_to_meters = 10.0, 1000.0, 0.01
    return message


def test_a_depth_buffer_becomes_metres(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    accepted = make_accepted()
    for layout, stored in (
        (DepthFormat.F32, np.array([[0.0, 1.0]], np.float32)),
        (DepthFormat.F16, np.array([[0.0, 1.0]], np.float16)),
        (DepthFormat.U16, np.array([[0, 65535]], np.uint16)),
    ):
        message = device_message(accepted, full_frame, stored, layout)
        back = CoarseDecoder(accepted).decode(message).depth
        assert back is not None
        np.testing.assert_allclose(back, [[0.1, 10.0]], rtol=1e-6)


def test_a_depth_buffer_has_no_second_scale(
    make_accepted: MakeAccepted, full_frame: CoarseFrame
) -> None:
    stored = np.zeros((1, 2), np.float32)
    message = device_message(make_accepted(), full_frame, stored, DepthFormat.F32)
    message.depth.meters_per_unit = 1.0
    with pytest.raises(WireError) as caught:
        CoarseDecoder(make_accepted()).decode(message)
    assert caught.value.field == "depth.meters_per_unit"


def test_metres_are_never_sent_as_u16(make_accepted: MakeAccepted) -> None:
    with pytest.raises(ValueError, match="F32 or F16"):
        CoarseEncoder(make_accepted(), depth_format=DepthFormat.U16)


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


def test_h264_resets_with_an_idr_picture_and_asks_for_one_after_a_gap(
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


def test_a_frame_of_another_size_is_refused_on_both_sides(
    make_accepted: MakeAccepted, full_frame: CoarseFrame, make_image: MakeImage
) -> None:
    larger = dataclasses.replace(full_frame, rgb=make_image(64, 32))
    with pytest.raises(WireError, match="agreed 48x32"):
        CoarseEncoder(make_accepted()).encode(larger)
    message = send(CoarseEncoder(make_accepted(width=64)), larger)
    with pytest.raises(WireError, match="agreed 48x32"):
        CoarseDecoder(make_accepted()).decode(message)


STAGES = StageTimes(1.0, 2.0, 3.0, 4.5, 5.0, 6.0, 7.0, 8.0, 99.0)


@pytest.mark.parametrize("codec", [Codec.RAW, Codec.ZSTD, Codec.LZ4])
def test_a_picture_comes_back_the_same(
    codec: Codec, make_accepted: MakeAccepted, make_image: MakeImage
) -> None:
    accepted = make_accepted(picture=codec)
    reply = RenderedFrame(5, 77, make_image(48, 32), chunk_index=3, stages=STAGES)
    back = RenderedDecoder(accepted).decode(answer(RenderedEncoder(accepted), reply))
    assert same(back, reply)


@pytest.mark.parametrize("codec", [Codec.JPEG, Codec.H264])
def test_lossy_pictures_stream_between_drops_and_faults(
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


def test_a_client_that_lost_a_picture_can_ask_for_an_idr_picture(
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


def test_a_camera_keeps_positions_far_from_the_origin(
    make_accepted: MakeAccepted, full_frame: CoarseFrame, camera: Camera
) -> None:
    far = dataclasses.replace(camera, position=np.array([1e7 + 0.001, 0, 0]))
    frame = dataclasses.replace(full_frame, camera=far)
    back = CoarseDecoder(make_accepted()).decode(send(CoarseEncoder(make_accepted()), frame))
    assert back.camera is not None
    assert back.camera.position[0] == 1e7 + 0.001
