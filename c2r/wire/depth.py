"""Depth buffers into metres, as D3D clip space (z in [0, 1]) stores them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from c2r.wire.checks import check_positive, require
from c2r.wire.errors import ErrorCode, WireError

Depth = NDArray[np.float32]


@dataclass(frozen=True)
class DeviceDepth:
    """How a depth buffer was made.

    Planes are in the engine's view-space units; `view_space_to_meters` is what one of them measures
    (1 in Unity, 0.01 in Unreal). `depth_inverted`: 1 is at the near plane. `depth_infinite`: the
    far plane lies at infinity and `far_plane` is ignored.
    """

    near_plane: float
    far_plane: float
    view_space_to_meters: float
    depth_inverted: bool = False
    depth_infinite: bool = False

    def __post_init__(self) -> None:
        check_positive(self.near_plane, "near_plane")
        check_positive(self.view_space_to_meters, "view_space_to_meters")
        if not self.depth_infinite:
            check_positive(self.far_plane, "far_plane")
            message = f"is {self.far_plane}; it must lie beyond near_plane, {self.near_plane}"
            require(self.far_plane > self.near_plane, message, "far_plane")

    def metres(self, stored: NDArray[np.floating]) -> Depth:
        """Buffer values in [0, 1], any shape -> metres along the forward axis, float32.

        From D3D's projection `stored = f / (f - n) - f n / ((f - n) z)`; with v = `stored`, or
        1 - `stored` when not inverted, `z = f n / (n + v (f - n))`, and `z = n / v` as f grows.
        """
        if not (stored.min() >= 0 and stored.max() <= 1):
            message = "holds values outside [0, 1], which no depth buffer does; send metres instead"
            raise WireError(ErrorCode.INVALID, message)
        v = stored.astype(np.float64) if self.depth_inverted else 1.0 - stored.astype(np.float64)
        near = self.near_plane
        # Absurd planes overflow to NaN, which `CoarseFrame` refuses.
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            if self.depth_infinite:
                z = near / v
            else:
                z = self.far_plane * near / (near + v * (self.far_plane - near))
            return (z * self.view_space_to_meters).astype(np.float32)
