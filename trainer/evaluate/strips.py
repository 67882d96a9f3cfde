"""Frames side by side, to look at: one row per clip, coarse | fine | outputs."""

from __future__ import annotations

import argparse
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from c2r.clips import Image
from trainer.data.manifest import Clip
from trainer.evaluate.derive import COARSE, FINE
from trainer.evaluate.long_videos import LongVideo
from trainer.evaluate.score import ClipPrompt, expected_of
from trainer.evaluate.videos import Frames, even_places, read_video

STRIP_MOMENTS = 3
SHEET_CLIPS = 12
GAP = 4
BAND = 16
INK, PAPER = (30, 30, 30), (250, 250, 250)
JPEG_QUALITY = 88


@dataclass(frozen=True, eq=False)
class Strip:
    """One clip at `moments` (frame numbers), as every system shows it, in the order of the columns.

    `frames`: system -> `[moments, H, W, 3]`.
    """

    clip: str
    caption: str
    moments: Sequence[int]
    frames: Mapping[str, Frames]


def make_strips(
    chosen: argparse.Namespace,
    clips: Sequence[Clip],
    outputs: Mapping[str, Path],
    prompts: Mapping[str, ClipPrompt],
) -> list[Strip]:
    """Three moments of up to twelve clips, evenly spread, of every system."""
    strips = []
    for place in even_places(len(clips), SHEET_CLIPS):
        clip = clips[place]
        assert clip.control is not None
        paths = {COARSE: chosen.data / clip.control, FINE: chosen.data / clip.video}
        paths |= {name: folder / f"{clip.id}.mp4" for name, folder in outputs.items()}
        expected = expected_of(clip, chosen.frames)
        moments = even_places(expected.frames, STRIP_MOMENTS)
        frames = {name: read_video(path, expected)[moments] for name, path in paths.items()}
        caption = prompts[clip.id].caption if clip.id in prompts else clip.caption
        strips.append(Strip(clip.id, caption, moments, frames))
    return strips


def long_strips(video: LongVideo) -> list[Strip]:
    """A long video's moments in columns, below those of the coarse video where there is one."""
    rows = {} if video.coarse_strip is None else {COARSE: video.coarse_strip}
    return [
        Strip(
            name,
            "",
            [0],
            {f"{s:.0f} s": row[None] for s, row in zip(video.strip_seconds, frames, strict=True)},
        )
        for name, frames in {**rows, "rendered": video.strip}.items()
    ]


def sheet(strips: Sequence[Strip]) -> Image:
    """All strips' middle moments as one image: a row per clip, a column per system.

    `ValueError` when there are none.
    """
    if not strips:
        raise ValueError("there is no clip to show")
    names = list(strips[0].frames)
    height, width = strips[0].frames[names[0]].shape[1:3]
    size = (len(names) * (width + GAP) + GAP, len(strips) * (height + GAP) + GAP + BAND)
    page = Pillow.new("RGB", size, PAPER)
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(size=11)
    for column, name in enumerate(names):
        left = GAP + column * (width + GAP)
        draw.text((left, 2), name, INK, font)
        for row, strip in enumerate(strips):
            shown = strip.frames[name]
            frame = Pillow.fromarray(np.ascontiguousarray(shown[len(shown) // 2]))
            page.paste(frame, (left, BAND + row * (height + GAP)))
    return np.array(page)


def data_url(frames: Frames) -> str:
    """Frames `[N, H, W, 3]` beside each other as a JPEG inside a URL."""
    file = BytesIO()
    Pillow.fromarray(np.concatenate(list(frames), axis=1)).save(file, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")
