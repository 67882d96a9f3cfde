"""Pairs at the output's size: coarse and fine frames that share every pixel, with their motion.

A window begins at a latent of its clip and is never moved or scaled otherwise, so that latents made
of the whole clip elsewhere (a student's stream) are those of the window.

Shapes: F frames, H W rows and columns of the output.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from c2r.models.configs import FRAMES_PER_LATENT, Preset
from trainer.data.batch import Sample
from trainer.data.manifest import Clip
from trainer.data.video_reader import VideoReader
from trainer.data.window import Window, frames_at, whole_window
from trainer.sample_random import plain_random
from trainer.settings import DataConfig

MOTION = "motion"
"""In a clip's geometry: `[F, H, W, 2]` pixels, (x, y)."""


class PairReader(VideoReader):
    """As `VideoReader`, at the size that the renderer answers with (`Preset.output_size`)."""

    def __init__(
        self, root: Path, preset: Preset, frames: int, config: DataConfig, seed: int
    ) -> None:
        super().__init__(root, preset, frames, config, seed)
        self.size = output_size(preset)

    def window(self, clip: Clip, draw: int) -> Window:
        """From a frame 4n on, the whole frame."""
        last = (frames_at(clip, self.preset.fps) - self.frames) // FRAMES_PER_LATENT
        start = plain_random(self.seed, draw, "window").randint(0, max(0, last))
        return replace(self.whole(self.frames), start=FRAMES_PER_LATENT * start)

    def whole(self, frames: int) -> Window:
        """The first `frames` frames of a clip at the output's size."""
        return replace(whole_window(self.preset, frames), scaled=self.size, size=self.size)

    def read(self, clip: Clip, draw: int, *, control: bool, fine: bool = True) -> Sample:
        """With motion, NaN where the clip has none at this size and rate."""
        sample = super().read(clip, draw, control=control, fine=fine)
        start = self.window(clip, draw).start
        return replace(sample, motion=self._motion(clip, start), start=start)

    def _motion(self, clip: Clip, start: int) -> Tensor:
        """`[F, 2, H, W]` float16; `ValueError` when the geometry cannot be read."""
        width, height = self.size
        unknown = torch.full((self.frames, 2, height, width), torch.nan, dtype=torch.float16)
        if clip.geometry is None or clip.fps != self.preset.fps:
            return unknown
        try:
            with np.load(self.root / clip.geometry) as stored:
                motion = stored[MOTION][start : start + self.frames]
        except (KeyError, BadZipFile) as error:
            raise ValueError(f"{clip.geometry} cannot be read: {error}") from error
        if motion.shape != (self.frames, height, width, 2):
            return unknown
        return torch.from_numpy(np.ascontiguousarray(motion.transpose(0, 3, 1, 2))).half()


def output_size(preset: Preset) -> tuple[int, int]:
    """(width, height) of what the renderer answers with."""
    width, height = preset.output_size
    return width, height
