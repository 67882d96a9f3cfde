"""Where coarse frames come from: synthetic boxes, images, a video file, the sample game.

Each source imports its library when it is built; a game engine's own plugin needs none of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from c2r.clips.fit import check_rate, check_shape
from c2r.wire import Camera, CoarseFrame, ResetReason
from c2r.wire.formats import Image, SideChannel
from engine_bridge.client.statistics import Clock, monotonic_us

if TYPE_CHECKING:
    from street.city.take import Level
    from street.game.frame import Camera as GameCamera
    from street.game.frame import GameFrame
    from street.game.game import Game

SKY, STREET = (150, 190, 230), (92, 92, 96)
MOST_SPEED = 0.25
"""Of a box, frame widths a second."""


class Source(Protocol):
    """Coarse frames of one size: `for frame in source`, each captured when it is asked for.

    Frame ids go up by one. `capture_time_us` is the clock's time of capture, `frame_delta_ms` the
    time between frames in the source's own world, `1000 / fps`.
    """

    @property
    def width(self) -> int: ...

    @property
    def height(self) -> int: ...

    @property
    def fps(self) -> float:
        """Frames a second of the source's own world."""
        ...

    def __iter__(self) -> Iterator[CoarseFrame]: ...

    def close(self) -> None:
        """Release files and windows; closing twice is no error."""
        ...


class _Clip:
    """Images in order, numbered and timed; the first one resets the stream."""

    def __init__(self, width: int, height: int, fps: float, clock: Clock) -> None:
        self.width, self.height, self.fps = width, height, fps
        self._clock = clock

    def __iter__(self) -> Iterator[CoarseFrame]:
        for index, rgb in enumerate(self._images()):
            yield CoarseFrame(
                frame_id=index,
                capture_time_us=self._clock(),
                rgb=rgb,
                frame_delta_ms=1000 / self.fps if index else 0.0,
                reset=None if index else ResetReason.CUT,
            )

    def close(self) -> None:
        """Nothing stays open between frames."""

    def _images(self) -> Iterator[Image]:
        raise NotImplementedError


class SyntheticSource(_Clip):
    """Boxes that move over a street, endless; the same arguments give the same images."""

    def __init__(
        self,
        width: int,
        height: int,
        fps: float,
        *,
        seed: int = 0,
        boxes: int = 8,
        clock: Clock = monotonic_us,
    ) -> None:
        check_shape(width, height)
        check_rate(fps)
        super().__init__(width, height, fps, clock)
        rng = np.random.default_rng(seed)
        self._start = rng.uniform(0, 1, boxes)
        self._speed = rng.uniform(-MOST_SPEED, MOST_SPEED, boxes)
        self._depth = np.sort(rng.uniform(0.2, 1.0, boxes))
        self._colour = rng.integers(40, 230, (boxes, 3), dtype=np.uint8)

    def image(self, index: int) -> Image:
        """The image [H, W, 3] of one frame: sky, street, and boxes, the far ones first."""
        image = np.empty((self.height, self.width, 3), np.uint8)
        horizon = self.height // 2
        image[:horizon], image[horizon:] = SKY, STREET
        for start, speed, depth, colour in zip(
            self._start, self._speed, self._depth, self._colour, strict=True
        ):
            centre = (start + speed * index / self.fps) % 1.0 * self.width
            left, right = centre - 0.05 * depth * self.width, centre + 0.05 * depth * self.width
            bottom = horizon + 0.45 * depth * self.height
            top = bottom - 0.5 * depth * self.height
            image[_span(top, bottom), _span(left, right)] = colour
        return image

    def _images(self) -> Iterator[Image]:
        return map(self.image, itertools.count())


class ImageFolder(_Clip):
    """The images in `folder`, one per frame; see `ImageClip` for sizes and errors."""

    def __init__(
        self, folder: Path, width: int, height: int, fps: float, *, clock: Clock = monotonic_us
    ) -> None:
        from c2r.clips.images import ImageClip

        check_rate(fps)
        super().__init__(width, height, fps, clock)
        self._clip = ImageClip(folder, width, height)

    def __len__(self) -> int:
        return len(self._clip)

    def _images(self) -> Iterator[Image]:
        return iter(self._clip)


class VideoFile(_Clip):
    """The first video track of `path`; see `VideoClip` for times, sizes and errors."""

    def __init__(
        self, path: Path, width: int, height: int, fps: float, *, clock: Clock = monotonic_us
    ) -> None:
        from c2r.clips.video import VideoClip

        super().__init__(width, height, fps, clock)
        self._clip = VideoClip(path, width, height, fps)

    def _images(self) -> Iterator[Image]:
        return iter(self._clip)


class GameSource(AbstractContextManager["GameSource"]):
    """Frames of a running `game`, until it ends. Owns it: closing the source closes the game."""

    def __init__(self, game: Game, *, clock: Clock = monotonic_us) -> None:
        self.game = game
        self._clock = clock
        self._last_us: int | None = None

    @property
    def width(self) -> int:
        return self.game.width

    @property
    def height(self) -> int:
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

    def __exit__(self, *_: object) -> None:
        self.close()


def open_game(
    width: int,
    height: int,
    *,
    seed: int,
    fps: float,
    pipe: str = "auto",
    level: Level = "mid",
    side_channels: Collection[SideChannel] = tuple(SideChannel),
) -> GameSource:
    """The sample game as a source. ValueError, with what to do, where it cannot start.

    `side_channels`: those that the server takes; without depth and motion frames cost a third.
    """
    from street.game.game import Game  # Panda3D

    try:
        drawn = {SideChannel.DEPTH, SideChannel.MOTION}
        geometry = not drawn.isdisjoint(side_channels)
        game = Game(width, height, seed=seed, fps=fps, pipe=pipe, level=level, geometry=geometry)
        return GameSource(game)
    except RuntimeError as error:
        advice = "; or play without a window: --headless" if pipe == "window" else ""
        raise ValueError(f"{error}{advice}") from error


def coarse_frame(frame: GameFrame, captured_us: int, delta_ms: float) -> CoarseFrame:
    """A game's frame as the wire has it; `captured_us` by the engine's clock."""
    from street.game.frame import half_motion

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


def _span(low: float, high: float) -> slice:
    return slice(max(0, round(low)), max(0, round(high)))
