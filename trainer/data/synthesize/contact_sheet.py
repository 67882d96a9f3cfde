"""One picture of a set: the middle frames of some of its clips, coarse beside fine, captioned."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from c2r.clips import Image, VideoClip
from trainer.data.manifest import Clip

MOST = 24
COLUMNS = 2
MARGIN = 8
LINE = 13
LINES = 3
LETTER = 6.2
"""Mean width in pixels of a letter of the built-in font."""
INK, PAPER, BLANK = (30, 30, 30), (250, 250, 250), (226, 226, 226)


def contact_sheet(root: Path, clips: Sequence[Clip], path: Path) -> None:
    """Writes `path` (PNG): up to `MOST` of `clips`, evenly spread, those with a twin first.

    ValueError when there are none, or when a clip cannot be read.
    """
    if not clips:
        raise ValueError("there is no clip; nothing for a contact sheet")
    chosen = _spread([c for c in clips if c.control] or clips)
    width, height = chosen[0].width, chosen[0].height
    cell = 2 * width + MARGIN, height + LINES * LINE + MARGIN
    rows = -(-len(chosen) // COLUMNS)
    columns = min(COLUMNS, len(chosen))
    sheet = Pillow.new("RGB", (columns * cell[0] + MARGIN, rows * cell[1] + MARGIN), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=10.5)
    for index, clip in enumerate(chosen):
        x, y = MARGIN + index % columns * cell[0], MARGIN + index // columns * cell[1]
        sheet.paste(Pillow.fromarray(_pair(root, clip, width, height)), (x, y))
        words = textwrap.wrap(f"{clip.id}: {clip.caption}", int(2 * width / LETTER))[:LINES]
        for line, text in enumerate(words):
            draw.text((x, y + height + 1 + line * LINE), text, INK, font)
    part = path.with_name(f".{path.name}.part")
    sheet.save(part, format="PNG")
    part.replace(path)


def _spread(clips: Sequence[Clip]) -> list[Clip]:
    places = np.linspace(0, len(clips) - 1, min(MOST, len(clips)))
    return [clips[round(float(place))] for place in places]


def _pair(root: Path, clip: Clip, width: int, height: int) -> Image:
    """Coarse | fine; blank on the left where there is no twin."""
    blank = np.full((height, width, 3), BLANK, np.uint8)
    coarse = _middle(root / clip.control, clip, width, height) if clip.control else blank
    return np.concatenate([coarse, _middle(root / clip.video, clip, width, height)], axis=1)


def _middle(path: Path, clip: Clip, width: int, height: int) -> Image:
    for index, picture in enumerate(VideoClip(path, width, height, clip.fps)):
        if index == clip.frames // 2:
            return picture
    raise ValueError(f"{path} is shorter than its {clip.frames} frames")
