"""Defaults that others published: one row each, with where the number stands."""

from __future__ import annotations

from typing import Any

import pytest

from c2r.models.presets import PRESETS, WAN_NEGATIVE
from c2r.streaming.sampler import SamplerConfig

RELEASE = "C2R's release, inference defaults"
WAN = "Wan 2.1, wan/configs/shared_config.py"
PUBLISHED: list[tuple[str, Any, Any, str]] = [
    ("sampler steps", SamplerConfig().steps, 50, RELEASE),
    ("flow shift at 480p", SamplerConfig().shift, 5.0, RELEASE),
    ("guidance", SamplerConfig().guidance.kind, "apg", RELEASE),
    ("text scale", SamplerConfig().guidance.text_scale, 10.0, RELEASE),
    ("control scale", SamplerConfig().guidance.control_scale, 1.0, RELEASE),
    ("eta", SamplerConfig().guidance.eta, 0.0, RELEASE),
    ("momentum", SamplerConfig().guidance.momentum, -0.5, RELEASE),
    ("norm threshold", SamplerConfig().guidance.norm_threshold, None, RELEASE),
    ("text tokens", PRESETS["wan-14b"].text.length, 512, WAN),
    ("frames a second", PRESETS["wan-14b"].fps, 16, WAN),
    ("longest clip", PRESETS["wan-14b"].frames, 81, WAN),
    *(
        (f"negative prompt, {name}", PRESETS[name].negative_prompt, WAN_NEGATIVE, WAN)
        for name in ("wan-1.3b", "wan-14b")
    ),
    ("phrases of the negative prompt", len(WAN_NEGATIVE.split("，")), 28, WAN),
    ("its last phrase", WAN_NEGATIVE.split("，")[-1], "倒着走", WAN),
    *(
        (f"negative prompt, {name}", PRESETS[name].negative_prompt, "", "our own")
        for name in ("debug", "tiny")
    ),
]


@pytest.mark.parametrize(("what", "ours", "published", "source"), PUBLISHED)
def test_published_defaults(what, ours, published, source):
    assert ours == published, f"{what}: {source} has {published!r}"
