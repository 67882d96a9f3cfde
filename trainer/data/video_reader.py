"""Samples straight from a manifest's videos: decoded and cropped here, encoded by the phase."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from c2r.models.configs import Preset
from trainer.data.batch import Sample
from trainer.data.jitter import Frames, draw_jitter, jittered
from trainer.data.manifest import Clip
from trainer.data.window import Window, draw_window
from trainer.sample_random import plain_random
from trainer.settings import DataConfig


def control_frames(
    clip: Clip, root: Path, fine: Callable[[], Frames], cut: Callable[[Path], Frames]
) -> tuple[Frames, bool]:
    """The control's pixels, and whether they still need jitter: a clip without a coarse one is its
    own control in other colours.
    """
    if clip.control is None:
        return fine(), True
    return cut(root / clip.control), False


class VideoReader:
    """Reads windows of `frames` frames at the preset's size and rate; `root` holds the videos."""

    def __init__(
        self, root: Path, preset: Preset, frames: int, config: DataConfig, seed: int
    ) -> None:
        self.root, self.preset, self.frames = root, preset, frames
        self.config, self.seed = config, seed

    def window(self, clip: Clip, draw: int) -> Window:
        """The one window of sample `draw`, for the video and for its control."""
        random_ = plain_random(self.seed, draw, "window")
        return draw_window(clip, self.preset, self.frames, self.config.zoom, random_)

    def cut(self, path: Path, window: Window) -> Frames:
        """A window of a video, `[F, 3, H, W]`."""
        return window.cut(path)

    def read(self, clip: Clip, draw: int, *, control: bool, fine: bool = True) -> Sample:
        """`ValueError` or `OSError` when a file cannot be read or ends too early."""
        cut = partial(self.cut, window=self.window(clip, draw))
        frames = cut(self.root / clip.video) if fine else None
        steering: Tensor | None = None
        if control:

            def own() -> Frames:
                return cut(self.root / clip.video) if frames is None else frames

            pixels, plain = control_frames(clip, self.root, own, cut)
            if plain:
                drawn = draw_jitter(self.config.jitter, plain_random(self.seed, draw, "jitter"))
                pixels = jittered(pixels, drawn)
            steering = torch.from_numpy(np.ascontiguousarray(pixels))
        return Sample(
            draw,
            clip.id,
            clip.role,
            clip.captions[clip.wording(self.seed, draw)],
            frames=None if frames is None else torch.from_numpy(frames),
            control=steering,
        )
