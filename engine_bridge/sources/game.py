"""The sample game as a source: its frames in the form of the wire."""

from __future__ import annotations

from collections.abc import Iterator

from c2r.wire import Camera, CoarseFrame, ResetReason
from engine_bridge.client.clock import Clock, monotonic_us
from engine_bridge.client.closing import Closing
from street.city.take import Level
from street.game.frame import Camera as GameCamera
from street.game.frame import GameFrame, half_motion
from street.game.game import Game


class GameSource(Closing):
    """Frames of a running `game`, until it ends. Owns it: closing the source closes the game."""

    def __init__(self, game: Game, *, clock: Clock = monotonic_us) -> None:
        self.game = game
        self._clock = clock
        self._last_us: int | None = None

    @property
    def width(self) -> int:
        """Pixels."""
        return self.game.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.game.height

    @property
    def fps(self) -> float:
        """Frames a second of simulated time."""
        return self.game.fps

    def __iter__(self) -> Iterator[CoarseFrame]:
        while self.game.running:
            yield self.step()

    def step(self) -> CoarseFrame:
        """The next frame, drawn now."""
        captured_us = self._clock()
        frame = self.game.step()
        last_us = frame.time_us if self._last_us is None else self._last_us
        self._last_us = frame.time_us
        return coarse_frame(frame, captured_us, (frame.time_us - last_us) / 1000)

    def close(self) -> None:
        """End the game; closing twice is no error."""
        self.game.close()


def open_game(
    width: int,
    height: int,
    *,
    seed: int,
    fps: float,
    pipe: str = "auto",
    level: Level = "mid",
) -> GameSource:
    """The sample game as a source. ValueError, with what to do, where it cannot start."""
    try:
        return GameSource(Game(width, height, seed=seed, fps=fps, pipe=pipe, level=level))
    except RuntimeError as error:
        advice = "; or play without a window: --headless" if pipe == "window" else ""
        raise ValueError(f"{error}{advice}") from error


def coarse_frame(frame: GameFrame, captured_us: int, delta_ms: float) -> CoarseFrame:
    """A game's frame as the wire has it; `captured_us` by the engine's clock."""
    return CoarseFrame(
        frame_id=frame.frame_id,
        capture_time_us=captured_us,
        rgb=frame.rgb,
        frame_delta_ms=delta_ms,
        depth=frame.depth,
        motion=None if frame.motion is None else half_motion(frame.motion),
        camera=_camera(frame.camera),
        reset=None if frame.reset_reason is None else ResetReason(frame.reset_reason),
    )


def _camera(camera: GameCamera) -> Camera:
    return Camera(
        position=camera.position,
        right=camera.right,
        up=camera.up,
        forward=camera.forward,
        fov_y=camera.fov_y,
        view_to_clip=camera.view_to_clip,
        clip_to_prev_clip=camera.clip_to_prev_clip,
    )
