"""The debug preset's networks with random weights, for tests of what runs networks."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from c2r.models.build import Networks
from c2r.models.configs import GuideForm
from c2r.models.presets import get_preset
from c2r.models.tiny_vae import TinyVAE
from c2r.weights.renderer import seeded_networks
from tests.small_networks import guided, randomise

DEBUG = get_preset("debug")


def guided_networks(
    seed: int = 1, *, scale: int = 2, form: GuideForm = "added", **changes: Any
) -> Networks:
    """As `debug_networks`, with a guide of the decoder whose weights are not at their zeros."""
    networks = debug_networks(seed, vae=guided(DEBUG, scale, form).vae, **changes)
    assert isinstance(networks.vae, TinyVAE)
    assert networks.vae.guide is not None
    randomise(networks.vae.guide, seed, 0.1)
    return networks


def debug_networks(seed: int = 1, dtype: torch.dtype = torch.float32, **changes: Any) -> Networks:
    """`changes`: fields of the preset, such as `stream` or `control`."""
    torch.set_num_threads(1)
    return seeded_networks(replace(DEBUG, **changes), seed, dtype=dtype)
