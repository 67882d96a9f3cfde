"""Renders a scene from a viewpoint and reads it back: colour, and depth with part numbers.

Rows come from the top, as everywhere outside GL. It knows nothing of time or motion.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from panda3d.core import (
    BitMask32,
    Camera,
    GraphicsOutput,
    LMatrix4f,
    NodePath,
    PerspectiveLens,
    Shader,
    Texture,
)

from street.city.viewpoint import Viewpoint
from street.game.display import Display
from street.game.scene import COLOUR, GEOMETRY

_VERTEX = """
#version 130
uniform mat4 p3d_ModelViewProjectionMatrix;
uniform mat4 p3d_ModelViewMatrix;
in vec4 p3d_Vertex;
out float depth;
void main() {
    gl_Position = p3d_ModelViewProjectionMatrix * p3d_Vertex;
    depth = -(p3d_ModelViewMatrix * p3d_Vertex).z;
}
"""
_FRAGMENT = """
#version 130
uniform float part;
in float depth;
out vec4 geometry;
void main() { geometry = vec4(depth, part, 0.0, 1.0); }
"""


@dataclass(frozen=True, eq=False)
class FrameBuffers:
    """`rgb` uint8 [H, W, 3]; `depth` float32 [H, W] metres, inf for the sky; `part` int32 [H, W],
    0 on what stands still. The last two are None where the renderer cannot give them.
    """

    rgb: NDArray[np.uint8]
    depth: NDArray[np.float32] | None
    part: NDArray[np.int32] | None


class Capture:
    """Cameras on a display's buffers, and the textures that they are read through."""

    def __init__(self, display: Display, root: NodePath) -> None:
        self._display = display
        self._lens = PerspectiveLens()
        self._rig = root.attach_new_node("cameras")
        self._colour = _read_back(display.colour, Texture.F_rgba8)
        self._camera(display.colour, COLOUR)
        self._geometry: Texture | None = None
        if display.geometry is not None:
            self._geometry = _read_back(display.geometry, Texture.F_rg32)
            self._camera(display.geometry, GEOMETRY).initial_state = _geometry_state()
        # The first frame of a fresh GL context can come out cut off; let it be this one.
        display.engine.render_frame()

    def render(self, view: Viewpoint) -> FrameBuffers:
        self._aim(view)
        self._display.engine.render_frame()
        rgb = _box_filtered(_rows(self._colour, np.uint8, 4)[..., 2::-1], self._display.supersample)
        if self._geometry is None:
            return FrameBuffers(rgb, None, None)
        raw = _rows(self._geometry, np.float32, 2)
        depth = np.where(raw[..., 0] > 0, raw[..., 0], np.float32(np.inf))
        return FrameBuffers(rgb, depth, np.rint(raw[..., 1]).astype(np.int32))

    def _aim(self, view: Viewpoint) -> None:
        """Gives Panda3D's camera (x right, y ahead, z up) the viewpoint's place and lens."""
        rows = np.eye(4)
        rows[0, :3], rows[1, :3], rows[2, :3] = view.right, view.forward, view.up
        rows[3, :3] = view.position
        self._rig.set_mat(LMatrix4f(*rows.ravel().tolist()))
        wide, tall = (float(np.degrees(2 * np.arctan(slope))) for slope in view.slopes)
        self._lens.set_fov(wide, tall)
        self._lens.set_near_far(view.near, view.far)

    def _camera(self, output: GraphicsOutput, mask: BitMask32) -> Camera:
        camera = Camera("camera", self._lens)
        camera.camera_mask = mask
        output.make_display_region().camera = self._rig.attach_new_node(camera)
        return camera


def _read_back(output: GraphicsOutput, layout: int) -> Texture:
    """A texture that holds the output's pixels in main memory after every frame."""
    texture = Texture()
    texture.format = layout
    output.add_render_texture(texture, GraphicsOutput.RTM_copy_ram, GraphicsOutput.RTP_color)
    output.set_clear_color((0, 0, 0, 0))
    output.set_clear_color_active(True)
    output.set_clear_depth_active(True)
    return texture


def _geometry_state() -> object:
    """Overrides every node's shading by depth and part number."""
    holder = NodePath("geometry")
    holder.set_shader(Shader.make(Shader.SL_GLSL, vertex=_VERTEX, fragment=_FRAGMENT), 1)
    holder.set_light_off(1)
    return holder.get_state()


def _rows(texture: Texture, dtype: type, channels: int) -> NDArray:
    """The texture's pixels [H, W, channels], the top row first; a view on Panda3D's memory."""
    raw: NDArray = np.frombuffer(texture.get_ram_image(), dtype)
    return raw.reshape(texture.y_size, texture.x_size, channels)[::-1]


def _box_filtered(rgb: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """A copy, `factor` times smaller each way, every pixel the mean of those it covers."""
    if factor == 1:
        return np.ascontiguousarray(rgb)
    height, width = rgb.shape[0] // factor, rgb.shape[1] // factor
    cells = rgb.reshape(height, factor, width, factor, 3).astype(np.uint16)
    total = cells.sum(axis=(1, 3), dtype=np.uint16)
    return ((total + factor * factor // 2) // (factor * factor)).astype(np.uint8)
