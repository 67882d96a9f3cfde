"""What a viewer sees, by hour, weather and coarse level: means hide the scene that fails.

A night that comes out as day, or grey blocks that hide colours, vanish in the mean over all clips.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trainer.data.manifest import Clip
from trainer.evaluate.derive import COARSE, FINE, derive
from trainer.evaluate.results import Breakdown, Measured, Rows, mean_of

ATTRIBUTES = ("hour", "weather", "level")
MEASURES = ("psnr", "ssim", "lpips", "shift", "brightness", "histogram", "sharpness", "prompt")
DERIVED = ("psnr_gain", "lpips_to_coarse", "worst_brightness")


def breakdown(rows: Rows, clips: Sequence[Clip]) -> Breakdown:
    """Attribute -> value -> system -> measure, of clips that have the attribute. The fine render is
    left out: it is what they are compared with.
    """
    found: dict[str, dict[str, dict[str, dict[str, float | None]]]] = {}
    for attribute in ATTRIBUTES:
        for value in dict.fromkeys(clip.attributes.get(attribute, "") for clip in clips):
            own = {clip.id for clip in clips if clip.attributes.get(attribute) == value}
            if own:
                found.setdefault(attribute, {})[value] = _measures(_of_clips(rows, own))
    return found


def _of_clips(rows: Rows, own: set[str]) -> dict[str, dict[str, Measured]]:
    """The rows as if these had been all clips, of measures that are means over clips."""
    return {
        name: {
            key: mean_of(
                {clip: row[key].by_clip[clip] for clip in row[key].by_clip.keys() & own}, 0
            )
            for key in MEASURES
            if key in row
        }
        for name, row in rows.items()
        if name != FINE
    }


def _measures(rows: Mapping[str, Mapping[str, Measured]]) -> dict[str, dict[str, float | None]]:
    derived = derive({**rows, FINE: {}})
    return {
        name: {key: value.value for key, value in row.items()}
        | {key: derived[name][key] for key in DERIVED if name != COARSE or "coarse" not in key}
        for name, row in rows.items()
    }
