"""A pinhole camera in the canonical form: row-major, row-vector, D3D clip space, metres.

World: Z up, right-handed. View: x right, y up, z forward. Clip: `clip = view @ view_to_clip`, z/w
in [0, 1] from near to far, y up. Pixels: row 0 is the top, the first one's middle is (0.5, 0.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Viewpoint:
    """A camera's position and direction. `position`, `right`, `up`, `forward` are [3], the last
    three orthonormal; `fov_y` in radians; `aspect` is width / height; near and far in metres.
    """

    position: Array
    right: Array
    up: Array
    forward: Array
    fov_y: float
    aspect: float
    near: float
    far: float

    @cached_property
    def slopes(self) -> tuple[float, float]:
        """Half the frame's width and height at a depth of one metre."""
        tall = float(np.tan(self.fov_y / 2))
        return tall * self.aspect, tall

    @cached_property
    def axes(self) -> Array:
        """Rows right, up, forward [3, 3]: `world = view @ axes + position`."""
        return np.stack([self.right, self.up, self.forward])

    @cached_property
    def view_to_clip(self) -> Array:
        """Perspective [4, 4], z from 0 at near to 1 at far (D3DXMatrixPerspectiveFovLH)."""
        wide, tall = self.slopes
        reach = self.far / (self.far - self.near)
        return np.array(
            [
                [1 / wide, 0, 0, 0],
                [0, 1 / tall, 0, 0],
                [0, 0, reach, 1],
                [0, 0, -self.near * reach, 0],
            ]
        )

    @cached_property
    def world_to_view(self) -> Array:
        matrix = np.eye(4)
        matrix[:3, :3] = self.axes.T
        matrix[3, :3] = -self.position @ self.axes.T
        return matrix

    @property
    def world_to_clip(self) -> Array:
        return self.world_to_view @ self.view_to_clip

    def clip_to_prev_clip(self, previous: Viewpoint) -> Array:
        """Takes this view's clip coordinates of a still point to the previous view's [4, 4]."""
        return np.linalg.inv(self.world_to_clip) @ previous.world_to_clip

    def pixels(self, points: Array, width: int, height: int) -> tuple[Array, Array]:
        """Where world points [..., 3] appear: pixels (x, y) [..., 2] and depths [...] in metres.

        Depth is along `forward`. Pixels are meaningless where depth is not positive.
        """
        view = (points - self.position) @ self.axes.T
        depth = view[..., 2]
        ndc = view[..., :2] / depth[..., None] / np.array(self.slopes)
        scale = np.array([width, height]) / 2
        return (1 + ndc * np.array([1.0, -1.0])) * scale, depth


def look_at(
    eye: Array, target: Array, *, fov_y: float, aspect: float, near: float = 0.4, far: float = 700.0
) -> Viewpoint:
    """A level camera at `eye` that looks at `target`, which must not be straight above or below."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    assert np.linalg.norm(right) > 1e-6, "the camera looks straight up or down"
    right /= np.linalg.norm(right)
    up = np.cross(right, forward)
    return Viewpoint(np.asarray(eye, float), right, up, forward, fov_y, aspect, near, far)
