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
from numpy.typing import NDArray
from torch import Tensor

from c2r.models.configs import FRAMES_PER_LATENT, Preset
from trainer.data.batch import Sample
from trainer.data.jitter import Frames
from trainer.data.manifest import Clip
from trainer.data.recent_frames import RecentFrames
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
        self._recent = RecentFrames(config.keep_gib * 2**30)

    def window(self, clip: Clip, draw: int) -> Window:
        """From a frame 4n on, the whole frame."""
        last = (frames_at(clip, self.preset.fps) - self.frames) // FRAMES_PER_LATENT
        start = plain_random(self.seed, draw, "window").randint(0, max(0, last))
        return replace(self.whole(self.frames), start=FRAMES_PER_LATENT * start)

    def whole(self, frames: int) -> Window:
        """The first `frames` frames of a clip at the output's size."""
        size = self.preset.output_size
        return replace(whole_window(self.preset, frames), scaled=size, size=size)

    def cut(self, path: Path, window: Window) -> Frames:
        """A window of a video, decoded once."""
        return self._recent.get(_from(path, window.start), lambda _: window.cut(path))

    def read(self, clip: Clip, draw: int, *, control: bool, fine: bool = True) -> Sample:
        """With motion, NaN where the clip has none at this size and rate."""
        sample = super().read(clip, draw, control=control, fine=fine)
        start = self.window(clip, draw).start
        return replace(sample, motion=self._motion(clip, start), start=start)

    def _motion(self, clip: Clip, start: int) -> Tensor:
        """`[F, 2, H, W]` float16; `ValueError` when the geometry cannot be read."""
        if clip.geometry is None or clip.fps != self.preset.fps:
            return self._unknown()
        path = self.root / clip.geometry
        key = _from(path, start)
        found = torch.from_numpy(self._recent.get(key, lambda _: self._read_motion(path, start)))
        return found if found.shape == self._unknown().shape else self._unknown()

    def _unknown(self) -> Tensor:
        width, height = self.preset.output_size
        nan = torch.full((), torch.nan, dtype=torch.float16)
        return nan.expand(self.frames, 2, height, width)

    def _read_motion(self, path: Path, start: int) -> NDArray[np.float16]:
        try:
            with np.load(path) as stored:
                motion = stored[MOTION][start : start + self.frames]
        except (KeyError, BadZipFile) as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        return np.ascontiguousarray(motion.transpose(0, 3, 1, 2).astype(np.float16))


def _from(path: Path, start: int) -> Path:
    """What a file is remembered by from a frame on."""
    return path.with_name(f"{path.name} from {start}")
