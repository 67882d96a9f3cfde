"""What a set of clips holds, counted: a page of Markdown beside its manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from trainer.data.manifest import Clip


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
    lines = ["| split | clips | with a coarse twin | frames |", "|---|---|---|---|"]
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
