"""The conventions' table through the Python side: what the wire's own classes make of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from c2r.wire import Camera, ResetReason
from c2r.wire.depth import DeviceDepth
from c2r.wire.enum_map import number_of
from c2r.wire.formats import Codec, CodecChoice
from c2r.wire.handshake import Accepted, Limits
from c2r.wire.payload import ColourReader
from c2r.wire.v1 import renderer_pb2 as pb
from street.city.viewpoint import Viewpoint
from tests.conformance.table import FILE, text

TABLE: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
MATRIX = TABLE["tolerance"]["matrix"]
PIXELS = TABLE["tolerance"]["pixels"]


def matrix(values: list[float]) -> np.ndarray:
    return np.array(values).reshape(4, 4)


def _close(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_close(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_close, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=1e-9, atol=1e-9))
    return bool(one == other)


def test_the_file_is_what_the_code_gives() -> None:
    # Within rounding: libraries of linear algebra differ in the last bit.
    assert _close(json.loads(text()), TABLE), "run python -m tests.conformance.table"


def test_published_values_of_srgb() -> None:
    """Middle grey, the curve's joint, and half light, as IEC 61966-2-1 and its tables have them."""
    known = dict(zip(TABLE["colour"]["linear"], TABLE["colour"]["srgb8"], strict=True))
    assert (known[0.18], known[0.0031308], known[0.5], known[1.0]) == (118, 10, 188, 255)
    assert (known[-0.25], known[4.0]) == (0, 255)


def test_origin_is_turned_by_the_wires_reader() -> None:
    origin = TABLE["origin"]
    size = origin["width"], origin["height"]
    accepted = Accepted(
        session_id="s",
        width=size[0],
        height=size[1],
        fps=16.0,
        chunk_latents=1,
        first_chunk_frames=1,
        chunk_frames=4,
        max_in_flight_chunks=1,
        codecs=CodecChoice(Codec.RAW, Codec.RAW, Codec.RAW),
        limits=Limits(),
    )
    image = pb.ColourImage(pixel_format=pb.PIXEL_FORMAT_RGBA8)
    image.payload.codec, image.payload.row_order = pb.CODEC_RAW, pb.ROW_ORDER_BOTTOM_FIRST
    image.payload.width, image.payload.height = size
    image.payload.data = bytes(origin["bottom_first_rgba8"])
    read = ColourReader(Codec.RAW, accepted).read(image)
    assert read.ravel().tolist() == origin["top_first_rgb8"]


@pytest.mark.parametrize("case", TABLE["depth"], ids=lambda case: case["name"])
def test_depth_agrees_with_the_projection(case: dict[str, Any]) -> None:
    """The projection of the expected metres is the stored value again."""
    names = ("near_plane", "far_plane", "view_space_to_meters", "depth_inverted", "depth_infinite")
    device = DeviceDepth(**{name: case[name] for name in names})
    metres = device.metres(np.array(case["stored"]))
    assert metres == pytest.approx(np.array(case["metres"]), rel=TABLE["tolerance"]["relative"])
    units = np.array(case["metres"]) / case["view_space_to_meters"]
    near, far = case["near_plane"], 1e12 if case["depth_infinite"] else case["far_plane"]
    forward = far / (far - near) * (1 - near / units)
    stored = 1 - forward if case["depth_inverted"] else forward
    assert stored == pytest.approx(np.array(case["stored"]), abs=1e-5)


@pytest.mark.parametrize("point", TABLE["motion"]["points"], ids=lambda point: str(point["pixels"]))
def test_motion_of_both_engines_is_the_same(point: dict[str, Any]) -> None:
    size = np.array([TABLE["motion"]["width"], TABLE["motion"]["height"]])
    unity = np.array(point["unity_uv"]) * size * [-1, 1]
    unreal = np.array(point["unreal_ndc"]) * size * [-0.5, 0.5]
    for pixels in (unity, unreal):
        assert pixels == pytest.approx(np.array(point["pixels"]), abs=PIXELS)


@pytest.mark.parametrize("engine", ["game", "unity", "unreal"])
def test_the_wire_takes_every_engines_camera(engine: str) -> None:
    wire = dict(TABLE["camera"][engine]["wire"])
    for name in ("view_to_clip", "clip_to_prev_clip"):
        wire[name] = matrix(wire[name])
    Camera(**wire)


def test_unitys_matrices_become_the_wires() -> None:
    unity = TABLE["camera"]["unity"]
    to_d3d = np.diag([1.0, 1, 0.5, 1])
    to_d3d[2, 3] = 0.5
    ahead = np.diag([1.0, 1, -1, 1])

    def parts(which: str) -> tuple[np.ndarray, np.ndarray]:
        projection = to_d3d @ matrix(unity[which]["projection"]) @ ahead
        return projection.T, (ahead @ matrix(unity[which]["world_to_camera"])).T

    projection, view = parts("now")
    before = np.matmul(*parts("before")[::-1])
    wire = unity["wire"]
    assert projection == pytest.approx(matrix(wire["view_to_clip"]), abs=MATRIX)
    moved = np.linalg.inv(view @ projection) @ before
    assert moved == pytest.approx(matrix(wire["clip_to_prev_clip"]), abs=MATRIX)


def test_unreals_matrices_become_the_wires() -> None:
    unreal = TABLE["camera"]["unreal"]
    metres = np.diag([100.0, 100, 100, 1])
    forward_z = np.array([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, -1, 0], [0, 0, 1, 1]])

    def parts(which: str) -> tuple[np.ndarray, np.ndarray]:
        view = metres @ matrix(unreal[which]["world_to_view"]) @ np.linalg.inv(metres)
        clip = metres @ matrix(unreal[which]["view_to_clip"]) @ forward_z / 100
        return clip, view

    projection, view = parts("now")
    before = np.matmul(*parts("before")[::-1])
    wire = unreal["wire"]
    assert projection == pytest.approx(matrix(wire["view_to_clip"]), abs=MATRIX)
    moved = np.linalg.inv(view @ projection) @ before
    assert moved == pytest.approx(matrix(wire["clip_to_prev_clip"]), abs=MATRIX)


@pytest.mark.parametrize("engine", ["game", "unity", "unreal"])
def test_static_points_follow_from_the_cameras(engine: str) -> None:
    points, wire = TABLE["static_points"], TABLE["camera"][engine]["wire"]
    projection = matrix(wire["view_to_clip"])
    size = np.array([points["width"], points["height"]])
    for point in points["points"]:
        place = np.array([point["column"], point["row"]]) + 0.5
        ndc = (place / size * 2 - 1) * [1, -1]
        z = (point["metres"] * projection[2, 2] + projection[3, 2]) / point["metres"]
        then = np.array([*ndc, z, 1.0]) @ matrix(wire["clip_to_prev_clip"])
        before = (then[:2] / then[3] * [1, -1] + 1) / 2 * size
        assert before - place == pytest.approx(np.array(point["pixels"]), abs=PIXELS)


def test_stored_depths_of_static_points_are_their_metres() -> None:
    camera = TABLE["camera"]
    unity = DeviceDepth(camera["near_plane"], camera["far_plane"], 1.0, depth_inverted=True)
    unreal = DeviceDepth(
        camera["unreal"]["near_plane"], 0.0, 0.01, depth_inverted=True, depth_infinite=True
    )
    for point in TABLE["static_points"]["points"]:
        for device, name in ((unity, "stored_reversed"), (unreal, "stored_unreal")):
            metres = device.metres(np.array([point[name]]))
            assert metres[0] == pytest.approx(point["metres"], rel=1e-5)


def test_reset_reasons_have_the_wires_numbers() -> None:
    reset = TABLE["reset"]
    numbers = dict(reset["numbers"])
    assert numbers.pop("none") == -1
    assert numbers == {reason.value: number_of(reason) for reason in ResetReason}
    assert set(reset["events"].values()) <= set(reset["numbers"])
    now = TABLE["camera"]["game"]["now"]
    view = Viewpoint(
        position=np.array(now["position"]),
        right=np.array(now["right"]),
        up=np.array(now["up"]),
        forward=np.array(now["forward"]),
        fov_y=now["fov_y"],
        aspect=16 / 9,
        near=0.3,
        far=250.0,
    )
    stayed = view.clip_to_prev_clip(view)
    assert stayed == pytest.approx(matrix(reset["clip_to_prev_clip_after"]), abs=1e-9)
