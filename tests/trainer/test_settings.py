"""The schema: unknown keys, shapes changed from the preset, start folders, every shipped config."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.trainer.small_run import MODEL, make_renderer, write_config
from trainer.settings import read_settings, settings_from

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "trainer" / "configs").glob("*_*.yaml"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimiser": {"lr": 1}}, "unknown key 'optimiser'"),
        ({"optim": {"rate": 1}}, "unknown key 'optim.rate'"),
        ({"model": {"dit": {"width": 8}}}, "unknown key 'model.dit.width'"),
        ({"data": {"cg_ratio": 1.5}}, "cg_ratio is 1.5"),
        ({"data": {"frames": 10}}, "4n + 1"),
        ({"phase": "dream"}, "phase"),
        ({"start": {"fresh": ["wheel"]}}, "wheel"),
        ({"model": {"name": "huge"}}, "preset 'huge' is unknown"),
    ],
)
def test_mistakes_name_their_place(changes, words):
    with pytest.raises(ValueError, match=words.replace("+", r"\+")):
        settings_from(changes)


def test_the_file_is_named_and_arguments_win(tmp_path):
    path = write_config(tmp_path / "run.yaml", {"phase": "align", "optim": {"lr": 1e-4}})
    config = read_settings(path, ["--optim.lr", "0.5", "--model.dit.dim", "384"])
    assert (config.optim.lr, config.model.dit.dim, config.model.dit.layers) == (0.5, 384, 8)
    with pytest.raises(ValueError, match=r"run.yaml: unknown key 'optim.lrr'"):
        read_settings(path, ["--optim.lrr", "1"])


def test_shapes_come_from_the_renderer_that_training_starts_from(tmp_path):
    folder = make_renderer(tmp_path / "renderer", control=False)
    config = settings_from(
        {"start": {"folder": str(folder)}, "model": {"control": {"kind": "adapter"}}}
    )
    assert config.model.dit.dim == MODEL["dit"]["dim"]
    assert (config.model.control.kind, config.model.control.hidden) == ("adapter", 32)
    with pytest.raises(ValueError, match="is a tiny renderer"):
        settings_from({"start": {"folder": str(folder)}, "model": {"name": "wan-1.3b"}})


def test_batches_must_divide():
    config = settings_from({"batch": 8, "micro_batch": 2})
    assert config.accumulate(2) == 2
    with pytest.raises(ValueError, match="multiple of 6"):
        config.accumulate(3)


@pytest.mark.parametrize("path", [c for c in CONFIGS if c.stem.startswith(("align", "ground"))])
def test_shipped_configs_are_whole(path):
    config = read_settings(path, ["--start.folder", "null"])
    assert path.stem.startswith(config.phase)
    assert (config.data.cache is None) != (config.data.manifest is None)
