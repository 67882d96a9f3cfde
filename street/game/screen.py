"""Puts a picture on the whole of a window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from panda3d.core import Camera, CardMaker, GraphicsOutput, NodePath, OrthographicLens, Texture


class Screen:
    """A window that shows the last picture given to it, from the next drawn frame on."""

    def __init__(self, window: GraphicsOutput) -> None:
        self._texture = Texture("screen")
        maker = CardMaker("card")
        maker.set_frame(-1, 1, -1, 1)
        root = NodePath("screen")
        card = root.attach_new_node(maker.generate())
        card.set_texture(self._texture)
        card.set_depth_test(False)
        lens = OrthographicLens()
        lens.set_film_size(2, 2)
        lens.set_near_far(-1, 1)
        window.make_display_region().camera = root.attach_new_node(Camera("screen", lens))
        self._root = root

    def show(self, rgb: NDArray[np.uint8]) -> None:
        """Take a picture [H, W, 3] of any size, row 0 at the top."""
        height, width = rgb.shape[:2]
        if (self._texture.y_size, self._texture.x_size) != (height, width):
            self._texture.setup_2d_texture(width, height, Texture.T_unsigned_byte, Texture.F_rgb8)
        # Panda3D keeps rows from the bottom and channels as BGR.
        self._texture.set_ram_image(np.ascontiguousarray(rgb[::-1, :, ::-1]).tobytes())
