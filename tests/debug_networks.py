"""The debug preset's networks with random weights, for tests of what runs networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from c2r.models.build import Networks
from c2r.models.presets import get_preset
from c2r.weights.renderer import seeded_networks

DEBUG = get_preset("debug")


def debug_networks(seed: int = 1, dtype: torch.dtype = torch.float32, **changes: Any) -> Networks:
    """`changes`: fields of the preset, such as `stream` or `control`."""
    torch.set_num_threads(1)
    return seeded_networks(replace(DEBUG, **changes), seed, dtype=dtype)
