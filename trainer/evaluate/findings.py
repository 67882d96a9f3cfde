"""What the report says besides its rows: settings, long videos, response to strength."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trainer.data.manifest import Clip
from trainer.evaluate.derive import FINE, monotone
from trainer.evaluate.long_videos import LongVideo, answer, parse_switch
from trainer.evaluate.metrics.temporal import border_ratio
from trainer.evaluate.options import Run
from trainer.evaluate.results import Rows


def note_gaps(run: Run, rows: Rows) -> None:
    """Note the measures that no clip allows, such as revisits where no camera returns."""
    for name, measured in rows[FINE].items():
        if measured.value is None and name != "psnr":
            run.left_out.append(f"{name}: no clip could be measured")


def settings_of(run: Run, clips: Sequence[Clip]) -> dict[str, Any]:
    """All options as given, and what follows from them."""
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
    """Structure agreement by strength of the control, and whether it rises with it."""
    responses: dict[str, Any] = {}
    for name, by_strength in strengths.items():
        pairs = [(s, rows[row]["structure"].value) for s, row in sorted(by_strength.items())]
        values = [value for _, value in pairs if value is not None]
        responses[name] = {
            "structure": {f"{strength:g}": value for strength, value in pairs},
            "monotone": len(values) == len(pairs) and monotone(values),
        }
    return responses


def long_results(run: Run, long: Mapping[str, LongVideo]) -> dict[str, dict[str, Any]]:
    """Long videos for the report: drift, structure, and the answers to changes of prompt."""
    switches = {text: parse_switch(text) for text in run.chosen.switch}
    fresh, chunk = run.chosen.drift_fresh, run.chosen.drift_chunk
    return {
        name: {
            "frames": video.frames,
            "fps": video.fps,
            "drift": asdict(video.drift),
            "structure_by_minute": video.agreement_by_minute,
            "structure_ends": video.agreement_ends,
            "structure_change": video.agreement_change,
            "change_from_fresh": None if fresh is None else video.change_from(fresh),
            "border_ratio": chunk and border_ratio(video.steps, chunk),
            "switches": {text: answer(video, switch) for text, switch in switches.items()},
            "shown_by_second": video.shown_by_second,
        }
        for name, video in long.items()
    }
