"""A coarse frame in canonical form, as sources produce it and renderers consume it.

Everything is checked at construction, so that an existing frame is a valid frame. Legend: H W rows
and columns of the colour image; depth and motion may have their own sizes. Row 0 is the top.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from c2r.wire.checks import check_positive, check_real, check_whole, require

AXIS_TOLERANCE = 1e-3
PROJECTION_TOLERANCE = 1e-2
"""Relative; engines compute `fov_y` and the projection in single precision, and round."""


class ResetReason(StrEnum):
    """Why a frame does not continue the one before."""

    UNSPECIFIED = "unspecified"
    CUT = "cut"
    TELEPORT = "teleport"
    LEVEL_LOAD = "level_load"
    RESIZE = "resize"
    RESUME = "resume"
    USER = "user"


@dataclass(frozen=True, eq=False)
class Camera:
    """The camera that took a frame. All arrays become float64.

    `position` [3]: metres in the world. `right`, `up`, `forward` [3]: orthonormal, of either
    handedness. `fov_y`: radians. `view_to_clip`, `clip_to_prev_clip` [4, 4]: row-major for row
    vectors (clip = view @ matrix), D3D clip space (y up, z in [0, 1]), without jitter; view space
    has x to the right, y up, z along `forward` or against it.
    """

    position: NDArray[np.float64]
    right: NDArray[np.float64]
    up: NDArray[np.float64]
    forward: NDArray[np.float64]
    fov_y: float
    view_to_clip: NDArray[np.float64]
    clip_to_prev_clip: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name in ("position", "right", "up", "forward"):
            self._keep(name, (3,))
        for name in ("view_to_clip", "clip_to_prev_clip"):
            self._keep(name, (4, 4))
        self._check_axes()
        self._check_projection()

    def _keep(self, name: str, shape: tuple[int, ...]) -> None:
        array = np.array(getattr(self, name), dtype=np.float64)
        require(array.shape == shape, f"has shape {array.shape}; it must be {shape}", name)
        require(bool(np.isfinite(array).all()), "holds NaN or infinity", name)
        object.__setattr__(self, name, array)

    def _check_axes(self) -> None:
        axes = {name: getattr(self, name) for name in ("right", "up", "forward")}
        for name, axis in axes.items():
            length = math.hypot(*axis)
            good = abs(length - 1) <= AXIS_TOLERANCE
            require(good, f"has length {length:.4g}; it must be a unit vector", name)
        for one, other in (("right", "up"), ("right", "forward"), ("up", "forward")):
            cosine = float(axes[one] @ axes[other])
            message = f"is not perpendicular to {one} (cosine {cosine:.4g})"
            require(abs(cosine) <= AXIS_TOLERANCE, message, other)

    def _check_projection(self) -> None:
        m = self.view_to_clip
        perspective = np.allclose(np.abs(m[:, 3]), (0, 0, 1, 0), atol=AXIS_TOLERANCE)
        message = (
            "is no perspective projection for row vectors: its last column must be (0, 0, 1 or -1, "
            "0). If its last row is, send the transpose"
        )
        require(perspective, message, "view_to_clip")
        good = math.isfinite(self.fov_y) and 0 < self.fov_y < math.pi
        require(good, f"is {self.fov_y}; it must be radians in (0, pi)", "fov_y")
        from_matrix = 2 * math.atan2(1.0, m[1, 1])
        message = (
            f"is {self.fov_y:.4g} radians, view_to_clip says {from_matrix:.4g}; "
            "give the vertical field of view, and y up in clip space"
        )
        agrees = math.isclose(self.fov_y, from_matrix, rel_tol=PROJECTION_TOLERANCE)
        require(agrees, message, "fov_y")


@dataclass(frozen=True, eq=False)
class CoarseFrame:
    """One captured frame.

    `rgb` [H, W, 3] uint8: sRGB, full range, after tone mapping, no HUD. `depth` [Hd, Wd]: metres
    along the camera's forward axis, infinity where there is no surface; becomes float32. `motion`
    [Hm, Wm, 2]: pixels (x right, y down) of its own grid from this frame to the one before, camera
    motion included, jitter excluded, NaN = no answer; becomes float16. `jitter`: (x, y) pixels in
    [-0.5, 0.5]. `capture_time_us`: microseconds of the client's clock. `frame_delta_ms`: game time
    since the frame before. `reset`: this frame does not continue the one before.
    """

    frame_id: int
    capture_time_us: int
    rgb: NDArray[np.uint8]
    frame_delta_ms: float = 0.0
    depth: NDArray[np.float32] | None = None
    motion: NDArray[np.float16] | None = None
    camera: Camera | None = None
    jitter: tuple[float, float] = (0.0, 0.0)
    pre_exposure: float = 1.0
    reset: ResetReason | None = None

    def __post_init__(self) -> None:
        check_whole(self.frame_id, "frame_id")
        check_whole(self.capture_time_us, "capture_time_us")
        check_real(self.frame_delta_ms, "frame_delta_ms")
        check_real(self.jitter[0], "jitter_x", -0.5, 0.5)
        check_real(self.jitter[1], "jitter_y", -0.5, 0.5)
        check_positive(self.pre_exposure, "pre_exposure")
        check_image(self.rgb, "colour")
        self._keep_depth()
        self._keep_motion()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the colour image."""
        return self.rgb.shape[1], self.rgb.shape[0]

    def _keep_depth(self) -> None:
        if self.depth is None:
            return
        require(self.depth.ndim == 2 and self.depth.size > 0, "must be [rows, columns]", "depth")
        depth = self.depth.astype(np.float32, copy=False)
        # The minimum of an array that holds NaN is NaN, which fails the comparison.
        require(bool(depth.min() >= 0), "holds NaN or negative metres; use infinity", "depth")
        object.__setattr__(self, "depth", depth)

    def _keep_motion(self) -> None:
        if self.motion is None:
            return
        shaped = self.motion.ndim == 3 and self.motion.shape[2] == 2 and self.motion.size > 0
        require(shaped, "must be [rows, columns, 2]", "motion")
        with np.errstate(over="ignore"):
            motion = self.motion.astype(np.float16, copy=False)
        message = "holds infinity, or more than half precision can (65504); use NaN for no answer"
        require(not _any_infinite(motion), message, "motion")
        object.__setattr__(self, "motion", motion)


def check_image(rgb: NDArray[Any], field: str) -> None:
    """Refuse anything but [H, W, 3] uint8."""
    good = rgb.dtype == np.uint8 and rgb.ndim == 3 and rgb.shape[2] == 3 and rgb.size > 0
    message = f"is {rgb.dtype} {list(rgb.shape)}; it must be uint8 [rows, columns, 3]"
    require(good, message, field)


def _any_infinite(halves: NDArray[np.float16]) -> bool:
    # On the bits: numpy's own test of halves is many times slower.
    bits = np.ascontiguousarray(halves).view(np.uint16)
    return bool(((bits & 0x7FFF) == 0x7C00).any())
