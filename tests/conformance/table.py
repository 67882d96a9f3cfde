"""Writes `conventions.json`: the numbers that every side of the wire must agree on.

`python -m tests.conformance.table` writes the file, and a test compares it. All expected values
come from this project's own conversions (`c2r.wire.depth`, `street.city.viewpoint`,
`street.city.motion_vectors`) but for colour, whose formula is IEC 61966-2-1. `README.md` describes
the fields.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from c2r.wire.depth import DeviceDepth
from c2r.wire.v1 import renderer_pb2 as pb
from street.city.motion_vectors import motion_field
from street.city.viewpoint import Viewpoint, look_at

FILE = Path(__file__).with_name("conventions.json")
WIDTH, HEIGHT = 160, 90
Array = NDArray[np.float64]

GAME_TO_UNITY = np.array([[1, 0, 0], [0, 0, 1], [0, 1, 0]], float)
"""Row vectors, world Z up to world Y up."""
GAME_TO_UNREAL = np.array([[0, 1, 0], [1, 0, 0], [0, 0, 1]], float)
"""Row vectors, x right and y ahead to x ahead and y right; metres still."""
UNREAL_UNITS = 100.0
"""Unreal's centimetres in a metre."""


def srgb(linear: Array) -> Array:
    """Linear light in [0, 1] to sRGB in [0, 1] (IEC 61966-2-1); clamps."""
    light = np.clip(linear, 0.0, 1.0)
    return np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def views() -> tuple[Viewpoint, Viewpoint]:
    """The camera now and one frame before: it walked, turned and looked up a little."""
    aspect = WIDTH / HEIGHT
    now = look_at(np.array([1.0, -2.0, 1.7]), np.array([2.5, 8.0, 1.2]), fov_y=0.9, aspect=aspect)
    before = look_at(
        np.array([0.9, -2.3, 1.72]), np.array([2.2, 8.1, 1.1]), fov_y=0.9, aspect=aspect
    )
    return replace(now, near=0.3, far=250.0), replace(before, near=0.3, far=250.0)


def table() -> dict[str, Any]:
    """All of it, ready for JSON."""
    return {
        "version": 1,
        "tolerance": {"relative": 1e-4, "pixels": 5e-3, "matrix": 1e-5},
        "origin": _origin(),
        "colour": _colour(),
        "depth": _depth(),
        "motion": _motion(),
        "camera": _camera(),
        "static_points": _static_points(),
        "reset": _reset(),
    }


def _origin() -> dict[str, Any]:
    rows = np.arange(3 * 2 * 4, dtype=np.uint8).reshape(2, 3, 4)
    return {
        "width": 3,
        "height": 2,
        "bottom_first_rgba8": rows[::-1].ravel().tolist(),
        "top_first_rgba8": rows.ravel().tolist(),
        "top_first_rgb8": rows[..., :3].ravel().tolist(),
    }


def _colour() -> dict[str, Any]:
    linear = np.array(
        [-0.25, 0, 0.0007, 0.0031308, 0.004, 0.0123, 0.051, 0.18, 0.2158605, 0.5, 0.8, 1, 4]
    )
    return {"linear": linear.tolist(), "srgb8": np.rint(255 * srgb(linear)).astype(int).tolist()}


def _depth() -> list[dict[str, Any]]:
    cases = [
        ("forward", DeviceDepth(0.3, 250.0, 1.0)),
        ("reversed", DeviceDepth(0.3, 250.0, 1.0, depth_inverted=True)),
        ("forward, far plane at infinity", DeviceDepth(0.1, 0.0, 1.0, depth_infinite=True)),
        (
            "reversed, infinite, centimetres",
            DeviceDepth(10.0, 0.0, 0.01, depth_inverted=True, depth_infinite=True),
        ),
    ]
    return [_depth_case(name, device) for name, device in cases]


def _depth_case(name: str, device: DeviceDepth) -> dict[str, Any]:
    nearness = np.array([1.0, 0.75, 0.25, 0.03125, 0.0078125])
    stored = nearness if device.depth_inverted else 1.0 - nearness
    return {
        "name": name,
        "near_plane": device.near_plane,
        "far_plane": device.far_plane,
        "view_space_to_meters": device.view_space_to_meters,
        "depth_inverted": device.depth_inverted,
        "depth_infinite": device.depth_infinite,
        "stored": stored.tolist(),
        "metres": [float(f"{value:.7g}") for value in device.metres(stored)],
        "stored_without_surface": 0.0 if device.depth_inverted else 1.0,
    }


def _motion() -> dict[str, Any]:
    """Points that moved: (now, before) in pixels, x right, y down."""
    pairs = [
        ((80.0, 45.0), (80.0, 45.0)),
        ((80.0, 45.0), (76.0, 45.0)),
        ((80.0, 45.0), (80.0, 40.5)),
        ((12.0, 81.0), (20.0, 72.0)),
        ((150.0, 9.0), (166.0, -4.5)),
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "points": [_moved(np.array(now), np.array(before)) for now, before in pairs],
    }


def _moved(now: Array, before: Array) -> dict[str, Any]:
    size = np.array([WIDTH, HEIGHT])
    uv = (now / size, before / size)
    up = np.array([1.0, -1.0])
    return {
        "pixel": now.tolist(),
        "unity_uv": _tidy(up * (uv[0] - uv[1])),
        "unreal_ndc": _tidy(2 * up * (uv[0] - uv[1])),
        "pixels": (before - now).tolist(),
    }


def _tidy(values: Array) -> list[float]:
    """Without the last bits of rounding, and without minus zero."""
    return [round(float(value), 9) + 0.0 for value in values]


def _camera() -> dict[str, Any]:
    now, before = views()
    c2p = now.clip_to_prev_clip(before)
    return {
        "near_plane": now.near,
        "far_plane": now.far,
        "aspect": WIDTH / HEIGHT,
        "game": {"now": _axes(now), "before": _axes(before), "wire": _wire(now, np.eye(3), c2p)},
        "unity": {
            "now": _unity(now),
            "before": _unity(before),
            "wire": _wire(now, GAME_TO_UNITY, c2p),
        },
        "unreal": _unreal(now, before),
    }


def _axes(view: Viewpoint) -> dict[str, Any]:
    names = ("position", "right", "up", "forward")
    return {name: getattr(view, name).tolist() for name in names} | {"fov_y": view.fov_y}


def _wire(view: Viewpoint, world: Array, clip_to_prev_clip: Array) -> dict[str, Any]:
    """The expected values on the wire, in an engine's own world."""
    placed = {name: vector @ world for name, vector in _vectors(view).items()}
    return {name: vector.tolist() for name, vector in placed.items()} | {
        "fov_y": view.fov_y,
        "view_to_clip": view.view_to_clip.ravel().tolist(),
        "clip_to_prev_clip": clip_to_prev_clip.ravel().tolist(),
    }


def _vectors(view: Viewpoint) -> dict[str, Array]:
    return {name: getattr(view, name) for name in ("position", "right", "up", "forward")}


def _unity(view: Viewpoint) -> dict[str, Any]:
    """As `Camera.projectionMatrix` and `Camera.worldToCameraMatrix`: column vectors, OpenGL's clip
    space (z in [-1, 1]), and a view space that looks along -z.
    """
    near, far = view.near, view.far
    wide, tall = view.slopes
    projection = np.zeros((4, 4))
    projection[0, 0], projection[1, 1] = 1 / wide, 1 / tall
    projection[2, 2], projection[2, 3] = (
        -(far + near) / (far - near),
        -2 * far * near / (far - near),
    )
    projection[3, 2] = -1.0
    axes = view.axes @ GAME_TO_UNITY * np.array([[1.0], [1.0], [-1.0]])
    to_camera = np.eye(4)
    to_camera[:3, :3] = axes
    to_camera[:3, 3] = -axes @ (view.position @ GAME_TO_UNITY)
    return {
        "projection": projection.ravel().tolist(),
        "world_to_camera": to_camera.ravel().tolist(),
    }


def _unreal(now: Viewpoint, before: Viewpoint) -> dict[str, Any]:
    """As `FViewMatrices`: row vectors, centimetres, reversed z with the far plane at infinity."""
    units = UNREAL_UNITS
    forward_z = _infinite(now)
    to_view = [_unreal_world_to_view(view) for view in (now, before)]
    reversed_z = np.array(forward_z)
    reversed_z[2, 2], reversed_z[3, 2] = 0.0, now.near * units
    metres = [np.diag([units, units, units, 1.0]) @ one for one in to_view]
    for one in metres:
        one[:, :3] /= units
    clip = [one @ forward_z for one in metres]
    wire = _wire(now, GAME_TO_UNREAL, np.linalg.inv(clip[0]) @ clip[1])
    return {
        "near_plane": now.near * units,
        "now": _unreal_view(to_view[0], reversed_z, now),
        "before": _unreal_view(to_view[1], reversed_z, before),
        "wire": wire | {"view_to_clip": forward_z.ravel().tolist()},
    }


def _infinite(view: Viewpoint) -> Array:
    """The projection in metres, z from 0 at near to 1 at infinity."""
    matrix = np.array(view.view_to_clip)
    matrix[2, 2], matrix[3, 2] = 1.0, -view.near
    return matrix


def _unreal_world_to_view(view: Viewpoint) -> Array:
    matrix = np.eye(4)
    axes = view.axes @ GAME_TO_UNREAL
    matrix[:3, :3] = axes.T
    matrix[3, :3] = -(view.position @ GAME_TO_UNREAL * UNREAL_UNITS) @ axes.T
    return matrix


def _unreal_view(world_to_view: Array, view_to_clip: Array, view: Viewpoint) -> dict[str, Any]:
    return {
        "location": (view.position @ GAME_TO_UNREAL * UNREAL_UNITS).tolist(),
        "world_to_view": world_to_view.ravel().tolist(),
        "view_to_clip": view_to_clip.ravel().tolist(),
    }


def _static_points() -> dict[str, Any]:
    """Where static points were, from their depth and the two cameras alone."""
    now, before = views()
    depth = np.full((HEIGHT, WIDTH), 7.0, np.float32)
    pixels = [(0, 0, 3.0), (80, 45, 12.5), (159, 89, 0.9), (37, 61, 120.0)]
    for x, y, metres in pixels:
        depth[y, x] = metres
    none = np.zeros((0, 4, 4))
    still = np.zeros((HEIGHT, WIDTH), np.int32)
    motion = motion_field(depth, still, (now, before), (none, none))
    device = DeviceDepth(now.near, now.far, 1.0, depth_inverted=True)
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "points": [
            {
                "column": x,
                "row": y,
                "metres": metres,
                "stored_reversed": _stored_reversed(metres, device),
                "stored_unreal": now.near / metres,
                "pixels": [round(float(value), 4) for value in motion[y, x]],
            }
            for x, y, metres in pixels
        ],
    }


def _stored_reversed(metres: float, device: DeviceDepth) -> float:
    """Inverse of `DeviceDepth.metres` for reversed z and a finite far plane."""
    near, far = device.near_plane, device.far_plane
    return near * (far - metres) / (metres * (far - near))


def _reset() -> dict[str, Any]:
    words = pb.ResetReason.items()
    return {
        "numbers": {"none": -1}
        | {name.removeprefix("RESET_REASON_").lower(): number for name, number in words},
        "events": {
            "none": "none",
            "first_frame": "level_load",
            "level_loaded": "level_load",
            "camera_cut": "cut",
            "camera_moved_far": "teleport",
            "size_changed": "resize",
            "play_resumed": "resume",
            "asked": "user",
        },
        "clip_to_prev_clip_after": np.eye(4).ravel().tolist(),
    }


def main() -> None:
    """Write the file."""
    FILE.write_text(text(), encoding="utf-8")


def text() -> str:
    """The file's text."""
    return json.dumps(table(), indent=1) + "\n"


if __name__ == "__main__":
    main()
