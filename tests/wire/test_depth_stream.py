"""Depth on the wire: half precision, u16 with a scale, and device depth buffers."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from c2r.wire.coarse_stream import CoarseDecoder, CoarseEncoder
from c2r.wire.enum_map import number_of
from c2r.wire.errors import WireError
from c2r.wire.formats import DepthFormat
from c2r.wire.frames import CoarseFrame
from c2r.wire.handshake import Accepted
from c2r.wire.v1 import renderer_pb2 as pb
from tests.wire.round_trip import send

MakeAccepted = Callable[..., Accepted]
MakeImage = Callable[..., np.ndarray]
IDR = b"\x00\x00\x01\x65"
INF = float("inf")


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
