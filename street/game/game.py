"""The sample game: a seeded city with people and cars, stepped and captured a frame at a time.

Headless, walker 0 strolls along the pavements; in a window the keyboard walks it. It knows nothing
of networks or of what becomes of its frames.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager

import numpy as np
from numpy.typing import NDArray

from street.city.follow_camera import FollowCamera
from street.city.layout import plan_city
from street.city.routes import start_position
from street.city.take import Level
from street.city.world import World
from street.game.frame import GameFrame, ResetReason
from street.game.scene_renderer import SceneRenderer
from street.game.window import Action, Keyboard, Screen, camera_turn, walk_command

TICK = 1 / 60
"""The longest simulation step in seconds; a frame is cut into equal steps no longer than this."""
WARM_UP = 1.5
"""Seconds simulated before frame 0, so that people are already walking."""


class Game(AbstractContextManager["Game"]):
    """A running game; use it as a context manager, or call `close`.

    `width` and `height` in pixels. `seed` (>= 0) decides the city, who walks in it and where they
    go: two games with the same arguments on the same kind of renderer give equal frames. `fps`:
    frames a second of simulated time; nothing here waits for the clock. `pipe`: `egl`, `software`,
    `window` (keyboard), or `auto`, which is `egl` where that starts and `software` where not.
    `smooth` anti-aliases; without `geometry` there is neither depth nor motion, and
    frames are cheaper. `people` and `cars` as for `plan_city`. `level`: how much is
    shown of what is there, one of `street.city.take.LEVELS`.

    Raises ValueError for arguments out of range and RuntimeError, naming what to install, where
    the renderer cannot start.
    """

    def __init__(
        self,
        width: int,
        height: int,
        *,
        seed: int = 0,
        fps: float = 24.0,
        pipe: str = "auto",
        smooth: bool = True,
        geometry: bool = True,
        people: int = 14,
        cars: int = 6,
        level: Level = "mid",
    ) -> None:
        _check(width, height, seed, fps)
        self.width, self.height, self.fps = width, height, fps
        self.plan = plan_city(seed, people=people, cars=cars)
        self.world = World(self.plan)
        for _ in range(round(WARM_UP / TICK)):
            self.world.step(TICK)
        self._follow = FollowCamera(self.plan, width / height, *self.world.character)
        self._renderer = SceneRenderer(
            self.plan, level, width, height, pipe=pipe, smooth=smooth, geometry=geometry
        )
        window = self._renderer.display.window
        self._keyboard = Keyboard(window) if window is not None else None
        self._screen = Screen(window) if window is not None else None
        self._next_id = 0
        self._reset: ResetReason | None = "level_load"
        self._quit = self._closed = False

    @property
    def pipe(self) -> str:
        """The renderer in use: `egl`, `software` or `window`."""
        return self._renderer.display.name

    @property
    def running(self) -> bool:
        """False once the game was closed, or its window, or Escape was pressed."""
        window = self._renderer.display.window
        return not (self._quit or self._closed) and (window is None or window.is_valid())

    def step(self) -> GameFrame:
        """The next frame, `1 / fps` simulated seconds after the last; frame 0 is the start.

        Raises RuntimeError when the game is not running any more.
        """
        if not self.running:
            raise RuntimeError("the game has ended; make a new Game to play on")
        held = self._keyboard.held() if self._keyboard is not None else None
        if held is not None:
            self._obey(held)
        if self._next_id > 0:
            self._advance(held)
        frame = self._draw()
        if self._screen is not None:
            self._screen.show(frame.rgb)
        self._next_id += 1
        self._reset = None
        return frame

    def show(self, rgb: NDArray[np.uint8]) -> None:
        """Show `rgb` (uint8 [h, w, 3], any size) in the window in place of the coarse frame, until
        the next step. Raises RuntimeError without a window.
        """
        if self._screen is None:
            raise RuntimeError(f"pipe {self.pipe!r} has no window; use pipe='window'")
        self._screen.show(rgb)

    def is_down(self, key: str) -> bool:
        """Whether the key of one ASCII character is held; never without a window."""
        return self._keyboard is not None and self._keyboard.is_down(key)

    def respawn(self) -> None:
        """Put the character back to where it began; the next frame is a reset by teleport."""
        walker = self.plan.walkers[0]
        home = start_position(walker, self.plan.nodes, self.plan.walkways)
        self.world.crowd.restart(0, home)
        self._follow.snap(*self.world.character)
        self._renderer.cut()
        self._reset = "teleport"

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closing twice is no error."""
        if not self._closed:
            self._closed = True
            self._renderer.close()

    def _obey(self, held: frozenset[Action]) -> None:
        """Keys that do not walk."""
        if "home" in held:
            self.respawn()
        if "quit" in held:
            self._quit = True

    def _advance(self, held: frozenset[Action] | None) -> None:
        """Simulate 1 / fps seconds in equal steps."""
        ticks = math.ceil(1 / self.fps / TICK - 1e-9)
        dt = 1 / self.fps / ticks
        for _ in range(ticks):
            command = walk_command(held, self._follow.yaw) if held is not None else None
            self.world.step(dt, command)
            turn = camera_turn(held, dt) if held is not None else 0.0
            self._follow.step(dt, *self.world.character, turn)

    def _draw(self) -> GameFrame:
        rendered = self._renderer.render(
            self._follow.viewpoint(), self.world.parts(), self.world.shadows()
        )
        return GameFrame(
            frame_id=self._next_id,
            time_us=round(self._next_id * 1e6 / self.fps),
            rgb=rendered.buffers.rgb,
            depth=rendered.buffers.depth,
            motion=rendered.motion,
            camera=rendered.camera,
            reset=self._reset is not None,
            reset_reason=self._reset,
        )


def _check(width: int, height: int, seed: int, fps: float) -> None:
    if width < 1 or height < 1:
        raise ValueError(f"a frame of {width}x{height} pixels is empty; give a positive size")
    if seed < 0:
        raise ValueError(f"seed is {seed}; give 0 or more")
    if not (math.isfinite(fps) and fps > 0):
        raise ValueError(f"fps is {fps}; give a positive number of frames a second")
