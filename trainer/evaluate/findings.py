"""What the report says besides its rows: settings, long videos, strengths, strips."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainer.data.manifest import Clip
from trainer.evaluate.derive import COARSE, FINE, monotone
from trainer.evaluate.long_videos import LongVideo, answer, parse_switch
from trainer.evaluate.results import Rows
from trainer.evaluate.run import Run
from trainer.evaluate.score import Asked, expected_of
from trainer.evaluate.strips import Strip
from trainer.evaluate.videos import even_places, read_video

STRIP_MOMENTS = 3
SHEET_CLIPS = 12


def note_gaps(run: Run, rows: Rows) -> None:
    """Note the measures that no clip allows, such as revisits where no camera comes back."""
    for name, measured in rows[FINE].items():
        if measured.value is None and name != "psnr":
            run.left_out.append(f"{name}: no clip could be measured")


def settings_of(run: Run, clips: Sequence[Clip]) -> dict[str, Any]:
    """All options as given, and what they came to."""
    plain = {key: _plain(value) for key, value in vars(run.chosen).items()}
    return plain | {
        "measured_clips": [clip.id for clip in clips],
        "size": [clips[0].width, clips[0].height] if clips else None,
        "device_used": str(run.device),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def strength_response(rows: Rows, strengths: Mapping[str, Mapping[float, str]]) -> dict[str, Any]:
    """Structure agreement by strength of each renderer, and whether it rises with it."""
    found: dict[str, Any] = {}
    for name, by_strength in strengths.items():
        pairs = [(s, rows[row]["structure"].value) for s, row in sorted(by_strength.items())]
        values = [value for _, value in pairs if value is not None]
        found[name] = {
            "structure": {f"{strength:g}": value for strength, value in pairs},
            "monotone": len(values) == len(pairs) and monotone(values),
        }
    return found


def long_results(run: Run, long: Mapping[str, LongVideo]) -> dict[str, dict[str, Any]]:
    """Long videos for the report: drift, structure, and the answers to changes of prompt."""
    switches = {text: parse_switch(text) for text in run.chosen.switch}
    fresh = run.chosen.drift_fresh
    return {
        name: {
            "frames": video.frames,
            "fps": video.fps,
            "drift": asdict(video.drift),
            "structure_by_minute": video.agreement_by_minute,
            "structure_ends": video.agreement_ends,
            "structure_change": video.agreement_change,
            "change_from_fresh": None if fresh is None else video.against(fresh),
            "switches": {text: answer(video, switch) for text, switch in switches.items()},
            "shown_by_second": video.shown_by_second,
        }
        for name, video in long.items()
    }


def make_strips(
    chosen: argparse.Namespace,
    clips: Sequence[Clip],
    outputs: Mapping[str, Path],
    asked: Mapping[str, Asked],
) -> list[Strip]:
    """Three moments of up to twelve clips, evenly spread, of every system."""
    made = []
    for place in even_places(len(clips), SHEET_CLIPS):
        clip = clips[place]
        assert clip.control is not None
        paths = {COARSE: chosen.data / clip.control, FINE: chosen.data / clip.video}
        paths |= {name: folder / f"{clip.id}.mp4" for name, folder in outputs.items()}
        expected = expected_of(clip, chosen.frames)
        moments = even_places(expected.frames, STRIP_MOMENTS)
        pictures = {name: read_video(path, expected)[moments] for name, path in paths.items()}
        caption = asked[clip.id].caption if clip.id in asked else clip.caption
        made.append(Strip(clip.id, caption, moments, pictures))
    return made


def long_strips(video: LongVideo) -> list[Strip]:
    """A long video's moments, a column each, below those of the coarse video where there is one."""
    rows = {} if video.coarse_strip is None else {COARSE: video.coarse_strip}
    return [
        Strip(
            name,
            "",
            [0],
            {f"{s:.0f} s": row[None] for s, row in zip(video.strip_seconds, pictures, strict=True)},
        )
        for name, pictures in {**rows, "pictures": video.strip}.items()
    ]
