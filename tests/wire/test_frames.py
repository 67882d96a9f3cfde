"""What makes a good frame: every value of the canonical form, in and out of its range."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from c2r.wire.depth import DeviceDepth
from c2r.wire.errors import WireError
from c2r.wire.frames import Camera, CoarseFrame
from c2r.wire.replies import RenderedFrame, StageTimes

NAN, INF = float("nan"), float("inf")


def frame(**changes: Any) -> CoarseFrame:
    rgb = np.zeros((4, 6, 3), np.uint8)
    return CoarseFrame(**{"frame_id": 1, "capture_time_us": 2, "rgb": rgb, **changes})


def refused(field: str, **changes: Any) -> str:
    with pytest.raises(WireError) as caught:
        frame(**changes)
    assert caught.value.field == field
    return caught.value.message


def test_the_size_is_width_then_height() -> None:
    assert frame().size == (6, 4)


@pytest.mark.parametrize("jitter", [(0.5, -0.5), (-0.5, 0.5), (0, 0)])
def test_jitter_within_half_a_pixel(jitter: tuple[float, float]) -> None:
    assert frame(jitter=jitter).jitter == jitter


@pytest.mark.parametrize("bad", [0.51, -0.5001, NAN, INF])
def test_jitter_beyond_half_a_pixel(bad: float) -> None:
    refused("jitter_x", jitter=(bad, 0.0))
    refused("jitter_y", jitter=(0.0, bad))


@pytest.mark.parametrize("bad", [0.0, -1.0, NAN, INF])
def test_exposure_is_above_zero(bad: float) -> None:
    refused("pre_exposure", pre_exposure=bad)


@pytest.mark.parametrize("bad", [-0.1, NAN, INF])
def test_frame_time_is_finite_and_not_negative(bad: float) -> None:
    refused("frame_delta_ms", frame_delta_ms=bad)


@pytest.mark.parametrize("bad", [-1, 1 << 64])
def test_ids_and_times_fit_64_bits(bad: int) -> None:
    refused("frame_id", frame_id=bad)
    refused("capture_time_us", capture_time_us=bad)


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((4, 6, 4), np.uint8),
        np.zeros((4, 6), np.uint8),
        np.zeros((0, 6, 3), np.uint8),
        np.zeros((4, 6, 3), np.float32),
    ],
)
def test_colour_is_three_bytes_a_pixel(bad: np.ndarray) -> None:
    assert "uint8 [rows, columns, 3]" in refused("colour", rgb=bad)
    with pytest.raises(WireError):
        RenderedFrame(1, 2, bad)


def test_depth_becomes_single_precision_and_may_be_infinite() -> None:
    depth = frame(depth=np.array([[0.0, 1.5], [INF, 2.0]])).depth
    assert depth is not None
    assert depth.dtype == np.float32
    assert depth.tolist() == [[0.0, 1.5], [INF, 2.0]]


@pytest.mark.parametrize(
    "bad", [[[NAN, 1.0]], [[-0.5, 1.0]], [[-INF, 1.0]], [1.0], [[[1.0]]], [[]]]
)
def test_depth_is_never_negative_nor_nan(bad: list[Any]) -> None:
    refused("depth", depth=np.array(bad, np.float32))


def test_motion_becomes_half_precision_and_may_be_nan() -> None:
    motion = frame(motion=np.array([[[0.5, -3.0], [NAN, NAN]]], np.float32)).motion
    assert motion is not None
    assert motion.dtype == np.float16
    np.testing.assert_array_equal(motion, np.array([[[0.5, -3], [NAN, NAN]]], np.float16))


@pytest.mark.parametrize("bad", [[[[INF, 0.0]]], [[[0.0, -INF]]], [[[70000.0, 0.0]]]])
def test_motion_is_never_infinite(bad: list[Any]) -> None:
    assert "NaN" in refused("motion", motion=np.array(bad, np.float32))


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 3), (0, 6, 2)])
def test_motion_has_two_values_a_pixel(shape: tuple[int, ...]) -> None:
    refused("motion", motion=np.zeros(shape, np.float16))


def changed(camera: Camera, **changes: Any) -> str:
    with pytest.raises(WireError) as caught:
        dataclasses.replace(camera, **changes)
    (name,) = changes
    assert caught.value.field in (name, "forward", "up", "fov_y")
    return str(caught.value)


def test_axes_must_be_unit_vectors(camera: Camera) -> None:
    assert "unit vector" in changed(camera, forward=camera.forward * 1.01)
    assert "unit vector" in changed(camera, up=np.zeros(3))


def test_axes_must_be_perpendicular(camera: Camera) -> None:
    tilted = camera.right + 0.1 * camera.forward
    assert "perpendicular" in changed(camera, right=tilted / np.linalg.norm(tilted))


def test_axes_of_single_precision_and_of_either_hand_are_fine(camera: Camera) -> None:
    mirrored = dataclasses.replace(
        camera, right=(-camera.right).astype(np.float32).astype(np.float64)
    )
    hands = [np.linalg.det([c.right, c.up, c.forward]) for c in (camera, mirrored)]
    assert hands[0] * hands[1] < 0


@pytest.mark.parametrize("name", ["position", "view_to_clip", "clip_to_prev_clip", "right"])
@pytest.mark.parametrize("bad", [NAN, INF])
def test_matrices_and_vectors_are_finite(camera: Camera, name: str, bad: float) -> None:
    array = getattr(camera, name).copy()
    array.flat[1] = bad
    assert "NaN or infinity" in changed(camera, **{name: array})


def test_shapes_are_named(camera: Camera) -> None:
    assert "(4, 4)" in changed(camera, view_to_clip=camera.view_to_clip.ravel())
    assert "(3,)" in changed(camera, position=np.zeros(4))


def test_a_transposed_projection_is_told_apart(camera: Camera) -> None:
    assert "transpose" in changed(camera, view_to_clip=camera.view_to_clip.T.copy())


def test_an_orthographic_projection_is_refused(camera: Camera) -> None:
    assert "perspective" in changed(camera, view_to_clip=np.eye(4))


@pytest.mark.parametrize("bad", [57.3, 0.0, -1.0, NAN, 3.1416])
def test_a_field_of_view_in_degrees_is_told_apart(camera: Camera, bad: float) -> None:
    assert "radians" in changed(camera, fov_y=bad)


def test_a_horizontal_field_of_view_is_told_apart(camera: Camera) -> None:
    across = 2 * np.arctan(1 / camera.view_to_clip[0, 0])
    assert "vertical" in changed(camera, fov_y=float(across))


def test_a_view_space_that_looks_along_minus_z_is_fine(camera: Camera) -> None:
    flipped = camera.view_to_clip.copy()
    flipped[2] = -flipped[2]
    assert dataclasses.replace(camera, view_to_clip=flipped).fov_y == camera.fov_y


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("infinite", [False, True])
def test_device_depth_undoes_the_projection(inverted: bool, infinite: bool) -> None:
    near, far, scale = 0.2, 800.0, 0.01
    z = np.array([near, 1.0, 17.0, 400.0, far])
    far_term = 1.0 if infinite else far / (far - near)
    stored = far_term * (1 - near / z)
    stored = 1 - stored if inverted else stored
    device = DeviceDepth(near, far, scale, depth_inverted=inverted, depth_infinite=infinite)
    stored = np.clip(stored, 0, 1)
    np.testing.assert_allclose(device.metres(stored), z * scale, rtol=1e-5)


def test_device_depth_of_the_sky_is_infinite_only_without_a_far_plane() -> None:
    sky = np.array([0.0], np.float32)
    endless = DeviceDepth(0.1, 0.0, 1.0, depth_inverted=True, depth_infinite=True)
    assert endless.metres(sky).tolist() == [INF]
    ended = DeviceDepth(0.1, 50.0, 1.0, depth_inverted=True)
    np.testing.assert_allclose(ended.metres(sky), [50.0])


@pytest.mark.parametrize("bad", [-0.01, 1.01, NAN, INF])
def test_device_depth_lies_between_0_and_1(bad: float) -> None:
    with pytest.raises(WireError, match="depth buffer"):
        DeviceDepth(0.1, 50.0, 1.0).metres(np.array([0.5, bad], np.float32))


@pytest.mark.parametrize(
    ("planes", "field"),
    [
        ((0.0, 10.0, 1.0), "near_plane"),
        ((1.0, 1.0, 1.0), "far_plane"),
        ((1.0, NAN, 1.0), "far_plane"),
        ((1.0, 10.0, 0.0), "view_space_to_meters"),
    ],
)
def test_planes_are_in_order(planes: tuple[float, float, float], field: str) -> None:
    with pytest.raises(WireError) as caught:
        DeviceDepth(*planes)
    assert caught.value.field == field


@pytest.mark.parametrize("bad", [-1.0, NAN, INF])
def test_stage_times_are_real_times(bad: float) -> None:
    with pytest.raises(WireError, match="denoise_ms"):
        StageTimes(denoise_ms=bad)
