"""What a set of clips holds, beside its manifest: counts as Markdown, and a sheet of middle frames,
coarse beside fine, with captions.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence
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


def write_report(
    path: Path,
    clips: Sequence[Clip],
    failed: Mapping[str, str],
    *,
    hours: Sequence[str],
    weathers: Sequence[str],
) -> None:
    """Counts by split, hour and weather, level, camera, crowd and style, and why scenes failed."""
    parts = ["# The set", "", _totals(clips), "", _grid(clips, hours, weathers), ""]
    for name in ("level", "camera", "crowd", "style"):
        parts += [_counts(clips, name), ""]
    if failed:
        parts += ["## Failed", ""]
        parts += [f"* {scene}: {' '.join(reason.split())}" for scene, reason in failed.items()]
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _totals(clips: Sequence[Clip]) -> str:
    lines = ["| split | clips | with a coarse clip | frames |", "|---|---|---|---|"]
    for split in ("train", "held_out"):
        mine = [clip for clip in clips if clip.split == split]
        paired = sum(clip.control is not None for clip in mine)
        lines.append(f"| {split} | {len(mine)} | {paired} | {sum(c.frames for c in mine)} |")
    return "\n".join(lines)


def _grid(clips: Sequence[Clip], hours: Sequence[str], weathers: Sequence[str]) -> str:
    counts = Counter((c.attributes.get("hour"), c.attributes.get("weather")) for c in clips)
    lines = [f"| hour | {' | '.join(weathers)} |", "|---" * (len(weathers) + 1) + "|"]
    for hour in hours:
        row = " | ".join(str(counts[hour, weather]) for weather in weathers)
        lines.append(f"| {hour} | {row} |")
    return "\n".join(lines)


def _counts(clips: Sequence[Clip], name: str) -> str:
    counts = Counter(c.attributes[name] for c in clips if name in c.attributes)
    found = ", ".join(f"{key} {count}" for key, count in sorted(counts.items()))
    return f"{name}: {found or 'none'}"


def contact_sheet(root: Path, clips: Sequence[Clip], path: Path) -> None:
    """Writes `path` (PNG): up to `MOST` of `clips`, evenly spread, those with a coarse clip first.

    ValueError when there are none, or when a clip cannot be read.
    """
    if not clips:
        raise ValueError("there is no clip; a contact sheet needs one")
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
    """Coarse | fine; blank on the left where there is none."""
    blank = np.full((height, width, 3), BLANK, np.uint8)
    coarse = _middle(root / clip.control, clip, width, height) if clip.control else blank
    return np.concatenate([coarse, _middle(root / clip.video, clip, width, height)], axis=1)


def _middle(path: Path, clip: Clip, width: int, height: int) -> Image:
    for index, frame in enumerate(VideoClip(path, width, height, clip.fps)):
        if index == clip.frames // 2:
            return frame
    raise ValueError(f"{path} is shorter than its {clip.frames} frames")
