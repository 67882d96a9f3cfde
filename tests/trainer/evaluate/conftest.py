"""The small data set and the debug preset's renderer, each made once."""

from __future__ import annotations

import pytest
import torch

from c2r.models.presets import get_preset
from c2r.weights.renderer import load_networks, read_renderer, save_renderer, seeded_networks
from tests.trainer.evaluate.scenes import write_set

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("set")
    write_set(folder)
    return folder


@pytest.fixture(scope="session")
def renderer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights") / "renderer"
    save_renderer(seeded_networks(get_preset("debug"), seed=4), folder)
    return folder


@pytest.fixture(scope="session")
def networks(renderer):
    preset, paths = read_renderer(renderer)
    return load_networks(preset, paths)
