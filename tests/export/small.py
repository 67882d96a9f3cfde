"""A renderer of the tiny preset's shape, narrow and shallow, that exports in seconds."""

from __future__ import annotations

from dataclasses import replace

import torch

from c2r.models.build import Networks
from c2r.models.configs import (
    ControlConfig,
    DinoConfig,
    DiTConfig,
    Preset,
    StreamConfig,
    TinyVAEConfig,
)
from c2r.models.presets import get_preset
from c2r.weights.renderer import seeded_networks

SMALL: Preset = replace(
    get_preset("tiny"),
    width=64,
    height=48,
    dit=DiTConfig(dim=64, ffn_dim=96, heads=2, layers=2, text_dim=128, text_len=256),
    dino=DinoConfig(hidden=32, mlp=64, layers=1, heads=1),
    vae=TinyVAEConfig(
        patch=2,
        encoder_width=16,
        encoder_time=(2, 2),
        decoder_widths=(16, 16, 16),
        decoder_time=(2, 2),
        blocks=1,
    ),
    stream=StreamConfig(chunk=2, window=6, sink=2, timesteps=(1000.0, 500.0)),
    control=ControlConfig(hidden=32, inject="first:1"),
)


def small_networks(
    seed: int = 1, dtype: torch.dtype = torch.float32, **changes: object
) -> Networks:
    torch.set_num_threads(1)
    return seeded_networks(replace(SMALL, **changes), seed, dtype=dtype)  # type: ignore[arg-type]
