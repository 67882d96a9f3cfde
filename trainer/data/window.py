"""The part of a clip that is one sample: one crop and one set of timestamps, for video and control.

A window is drawn once and then cut from both files, so that control and video stay aligned.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from c2r.clips import VideoClip
from c2r.models.configs import Preset
from trainer.data.jitter import Frames
from trainer.data.manifest import Clip


@dataclass(frozen=True)
class Window:
    """`frames` frames at `fps` from frame `start` on, of the clip scaled to `scaled` (width,
    height), cropped to `size` (width, height) at (`left`, `top`).
    """

    start: int
    frames: int
    fps: float
    scaled: tuple[int, int]
    left: int
    top: int
    size: tuple[int, int]

    def cut(self, path: Path) -> Frames:
        """The window of a video, `[F, 3, H, W]` uint8; `ValueError` when it ends too early."""
        width, height = self.scaled
        cut = list(islice(VideoClip(path, width, height, self.fps, self.start), self.frames))
        if len(cut) < self.frames:
            raise ValueError(
                f"{path} ends after {self.start + len(cut)} frames at {self.fps:g} fps; "
                f"{self.start + self.frames} are wanted"
            )
        rows, columns = (
            slice(self.top, self.top + self.size[1]),
            slice(self.left, self.left + self.size[0]),
        )
        whole = np.stack([frame[rows, columns] for frame in cut])
        return np.ascontiguousarray(whole.transpose(0, 3, 1, 2))


def frames_at(clip: Clip, fps: float) -> int:
    """Frames that a clip has when it is read at `fps`."""
    return int(clip.frames / clip.fps * fps + 1e-6)


def whole_window(preset: Preset, frames: int) -> Window:
    """From the start, scaled to cover the preset's frame, cropped in the middle."""
    size = preset.width, preset.height
    return Window(0, frames, preset.fps, size, 0, 0, size)


def draw_window(
    clip: Clip, preset: Preset, frames: int, zoom: float, random_: random.Random
) -> Window:
    """A random start, scale (1 to `zoom` times what covers the frame) and place of the crop."""
    start = random_.randint(0, max(0, frames_at(clip, preset.fps) - frames))
    cover = max(preset.width / clip.width, preset.height / clip.height)
    scale = cover * random_.uniform(1.0, zoom)
    scaled = (
        max(preset.width, round(clip.width * scale)),
        max(preset.height, round(clip.height * scale)),
    )
    left = random_.randint(0, scaled[0] - preset.width)
    top = random_.randint(0, scaled[1] - preset.height)
    return Window(start, frames, preset.fps, scaled, left, top, (preset.width, preset.height))
