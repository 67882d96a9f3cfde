"""The rows of a cache: a whole clip from its start, or one of several random windows of it.

A causal VAE's first latent is one frame and the later ones four, so latents cannot be cut in front.
Several windows per clip, drawn as training on videos draws them, let samples begin elsewhere too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from c2r.models.configs import Preset, latent_count
from trainer.data.manifest import Clip
from trainer.data.window import Window, draw_window, frames_at, whole_window
from trainer.sample_random import plain_random


@dataclass(frozen=True)
class WindowOptions:
    """`count` windows of `frames` frames for each clip of training, at up to `zoom` times the
    scale; 0 means whole clips. Held-out clips are always whole.
    """

    count: int
    frames: int
    zoom: float
    seed: int

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ValueError(f"--windows is {self.count}; give 0 (whole clips) or more")
        if self.zoom < 1:
            raise ValueError(f"--zoom is {self.zoom}; 1 is the whole frame, more cuts into it")
        if self.count:
            latent_count(self.frames)


@dataclass(frozen=True)
class CacheRow:
    """A row of a cache: `id` is the clip's own, or has the window's number behind it."""

    id: str
    clip: Clip
    window: Window


def cache_rows(
    clips: Sequence[Clip], preset: Preset, windows: WindowOptions, skipped: list[str]
) -> list[CacheRow]:
    """All rows, in the clips' order; appends to `skipped` why a clip gives none."""
    rows: list[CacheRow] = []
    for clip in clips:
        have = frames_at(clip, preset.fps)
        count = windows.count if clip.split == "train" else 0
        wanted = windows.frames if count else 1
        if have < wanted:
            least = "one frame" if wanted == 1 else f"--frames {wanted}"
            skipped.append(f"clip {clip.id}: it is shorter than {least}")
        elif count:
            rows += [_random_row(clip, preset, windows, number) for number in range(count)]
        else:
            whole = 1 + 4 * ((have - 1) // 4)
            rows.append(CacheRow(clip.id, clip, whole_window(preset, whole)))
    return rows


def _random_row(clip: Clip, preset: Preset, windows: WindowOptions, number: int) -> CacheRow:
    """The clip's own hash is part of the seed, so that no two clips have the same windows."""
    random_ = plain_random(windows.seed, number, f"window of {clip.hash}")
    window = draw_window(clip, preset, windows.frames, windows.zoom, random_)
    return CacheRow(f"{clip.id}-w{number:02d}", clip, window)
