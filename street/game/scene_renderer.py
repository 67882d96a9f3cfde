"""A display, a scene on it and a camera in front: frame after frame with its geometry.

The game and the recording of a take share it. It keeps the camera and parts of the frame before,
for motion vectors, and knows nothing of simulation or files.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from street.city.motion_vectors import motion_field
from street.city.plan import Plan
from street.city.take import Level
from street.city.viewpoint import Viewpoint
from street.game.capture import Capture, FrameBuffers
from street.game.display import open_display
from street.game.frame import Camera, camera_of
from street.game.scene import Scene

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SceneFrame:
    """A rendered frame: its buffers, and what relates it to the frame before: `motion` as in
    `GameFrame`, None without depth.
    """

    buffers: FrameBuffers
    motion: NDArray[np.float32] | None
    camera: Camera


class SceneRenderer(AbstractContextManager["SceneRenderer"]):
    """`plan` at `level`, ready to be rendered at `width` x `height` pixels on its own display.

    `pipe`, `smooth`, `geometry` and errors as for `open_display`; ValueError for an unknown level.
    """

    def __init__(
        self,
        plan: Plan,
        level: Level,
        width: int,
        height: int,
        *,
        pipe: str = "auto",
        smooth: bool = True,
        geometry: bool = True,
    ) -> None:
        self.display = open_display(pipe, width, height, smooth=smooth, geometry=geometry)
        try:
            self._scene = Scene(plan, level, tiny=self.display.name == "software")
            self.capture = Capture(self.display, self._scene.root)
        except BaseException:
            self.display.close()
            raise
        self._before: tuple[Viewpoint, Array] | None = None

    def render(self, view: Viewpoint, parts: Array, shadows: Array) -> SceneFrame:
        """Render with everything where the matrices of `World` put it."""
        self._scene.place(parts, shadows, view.position)
        buffers = self.capture.render(view)
        before, self._before = self._before, (view, parts)
        camera = camera_of(view, None if before is None else before[0])
        return SceneFrame(buffers, _motion(buffers, (view, parts), before), camera)

    def cut(self) -> None:
        """Forget the last frame: the next one has no motion, as after a teleport."""
        self._before = None

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closing twice is no error."""
        self.display.close()


def _motion(
    buffers: FrameBuffers, now: tuple[Viewpoint, Array], before: tuple[Viewpoint, Array] | None
) -> NDArray[np.float32] | None:
    if buffers.depth is None or buffers.part is None:
        return None
    if before is None:
        return np.full((*buffers.depth.shape, 2), np.nan, np.float32)
    return motion_field(buffers.depth, buffers.part, (now[0], before[0]), (now[1], before[1]))
