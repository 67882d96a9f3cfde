"""A display, a scene on it and a camera in front: one picture with its geometry after another.

What the game and the film of a take share. It knows the frame before, so that it can say what has
moved, and nothing of simulation or files.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from street.city.motion import motion_field
from street.city.plan import Plan
from street.city.take import Level
from street.city.viewpoint import Viewpoint
from street.game.capture import Capture, Shot
from street.game.display import open_display
from street.game.frame import Camera, camera_of
from street.game.scene import Scene

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Exposure:
    """A shot with what has to do with the one before it: `motion` as in `GameFrame`, None where
    the shot has no depth.
    """

    shot: Shot
    motion: NDArray[np.float32] | None
    camera: Camera


class SceneRenderer(AbstractContextManager["SceneRenderer"]):
    """`plan` at `level`, ready to be shot at `width` x `height` pixels on a renderer of its own.

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

    def expose(self, view: Viewpoint, parts: Array, shadows: Array) -> Exposure:
        """Draw now, with everything where the matrices of `World` put it."""
        self._scene.place(parts, shadows, view.position)
        shot = self.capture.shoot(view)
        before, self._before = self._before, (view, parts)
        camera = camera_of(view, None if before is None else before[0])
        return Exposure(shot, _motion(shot, (view, parts), before), camera)

    def cut(self) -> None:
        """Forget the last picture: nothing carries over to the next."""
        self._before = None

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Give back the renderer's buffers; closing twice is no error."""
        self.display.close()


def _motion(
    shot: Shot, now: tuple[Viewpoint, Array], before: tuple[Viewpoint, Array] | None
) -> NDArray[np.float32] | None:
    if shot.depth is None or shot.part is None:
        return None
    if before is None:
        return np.full((*shot.depth.shape, 2), np.nan, np.float32)
    return motion_field(shot.depth, shot.part, (now[0], before[0]), (now[1], before[1]))
