"""The small data set and the small renderer, each made once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from c2r.models.configs import (
    ControlConfig,
    DinoConfig,
    DiTConfig,
    StreamConfig,
    TextConfig,
    TinyVAEConfig,
)
from c2r.models.presets import get_preset
from c2r.weights.renderer import load_networks, read_renderer, save_renderer, seeded_networks
from tests.trainer.evaluate.scenes import FRAMES, HEIGHT, WIDTH, write_set

torch.set_num_threads(1)

PRESET = replace(
    get_preset("tiny"),
    width=WIDTH,
    height=HEIGHT,
    frames=FRAMES,
    dit=DiTConfig(dim=48, ffn_dim=64, heads=2, layers=2, text_dim=16, text_len=32),
    dino=DinoConfig(hidden=24, mlp=32, layers=1, heads=2),
    vae=TinyVAEConfig(
        patch=2,
        encoder_width=8,
        encoder_time=(2, 2),
        decoder_widths=(12, 8, 8),
        decoder_time=(2, 2),
        blocks=1,
    ),
    text=TextConfig(
        dim=16, ffn=24, layers=1, heads=2, head_dim=8, vocab=259, length=32, tokenizer="bytes"
    ),
    control=ControlConfig(hidden=16, inject="first:1"),
    stream=StreamConfig(chunk=2, window=4, sink=1, timesteps=(1000.0, 500.0)),
)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_set(folder)
    return folder


@pytest.fixture(scope="session")
def renderer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "renderer"
    save_renderer(seeded_networks(PRESET, seed=4), folder)
    return folder


@pytest.fixture(scope="session")
def networks(renderer):
    preset, paths = read_renderer(renderer)
    return load_networks(preset, paths)
