"""Which measured values are beyond their limits, each under a name and in words."""

from __future__ import annotations

from trainer.data.curate.measure import Measured
from trainer.data.curate.settings import CurateSettings

REASONS = {
    "unreadable": "no picture can be decoded",
    "no video": "there is no video track",
    "hdr": "high dynamic range, not tone-mapped",
    "crashed": "the decoder brought its process down",
    "damaged": "decoding stopped here; what came before was used",
    "short": "a scene shorter than a clip",
    "remainder": "what a scene leaves after its last whole clip",
    "small": "it would have to be enlarged too much",
    "dark": "hardly any light",
    "overexposed": "large parts are burnt out",
    "letterbox": "black bars",
    "still": "hardly anything moves",
    "choppy": "frames are repeated",
    "blurred": "no detail",
    "overlaid": "a logo, a subtitle or a frame stays while the scene moves",
    "caption": "the caption is empty or too long for the manifest",
}
"""Every reason for which a file or a part of one is left out."""


def judge(measured: Measured, settings: CurateSettings) -> list[str]:
    """The names of all limits that a clip is beyond; empty for a clip to keep."""
    limits = settings.filters
    moving = measured.static <= limits.max_static
    found = {
        "small": measured.upscale > settings.max_upscale,
        "dark": measured.bright < limits.min_bright,
        "overexposed": measured.clipped > limits.max_clipped,
        "letterbox": measured.bars > limits.max_bars,
        "still": measured.motion < limits.min_motion,
        "choppy": measured.repeated > limits.max_repeated,
        "blurred": measured.sharpness < limits.min_sharpness,
        "overlaid": moving and measured.overlay > limits.max_overlay,
    }
    assert found.keys() <= REASONS.keys()
    return [name for name, beyond in found.items() if beyond]
