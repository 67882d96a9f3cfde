"""The schema: unknown keys, shapes changed from the preset, start folders, every shipped config."""

from __future__ import annotations

import re

import pytest

from c2r.config import save_config
from tests.trainer.small_run import DEBUG, ROOT, make_renderer, write_config
from trainer.phases import PHASES, phase_settings, read_settings

CONFIGS = sorted((ROOT / "trainer" / "configs").glob("*_*.yaml"))


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
        phase_settings(changes)


def test_the_file_is_named_and_arguments_win(tmp_path):
    path = write_config(tmp_path / "run.yaml", {"phase": "align", "optim": {"lr": 1e-4}})
    config = read_settings(path, ["--optim.lr", "0.5", "--model.dit.dim", "384"])
    assert (config.optim.lr, config.model.dit.dim, config.model.dit.layers) == (0.5, 384, 8)
    with pytest.raises(ValueError, match=r"run.yaml: unknown key 'optim.lrr'"):
        read_settings(path, ["--optim.lrr", "1"])


def test_shapes_come_from_the_renderer_that_training_starts_from(tmp_path):
    folder = make_renderer(tmp_path / "renderer", control=False)
    config = phase_settings(
        {"start": {"folder": str(folder)}, "model": {"control": {"kind": "adapter"}}}
    )
    assert config.model.dit == DEBUG.dit
    assert (config.model.control.kind, config.model.control.hidden) == ("adapter", 32)
    with pytest.raises(ValueError, match="is a debug renderer"):
        phase_settings({"start": {"folder": str(folder)}, "model": {"name": "wan-1.3b"}})


def test_batches_must_divide():
    config = phase_settings({"batch": 8, "micro_batch": 2})
    assert config.accumulate(2) == 2
    with pytest.raises(ValueError, match="multiple of 6"):
        config.accumulate(3)


@pytest.mark.parametrize(
    "path", [c for c in CONFIGS if c.stem != "small_set"], ids=lambda c: c.stem
)
def test_shipped_configs_are_whole(path):
    config = read_settings(path, ["--start.folder", "null"])
    assert path.stem.startswith(config.phase) or path.stem == "decode_tiny"
    assert (config.data.cache is None) != (config.data.manifest is None)


TEACHER = (
    "distil.teacher belongs to phases consistency, regress, dmd; this is phase align: remove it"
)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"distil": {"teacher": "x"}}, TEACHER),
        ({"phase": "ground", "lora": {"rank": 2}}, "lora.rank belongs to phase align"),
        ({"phase": "align", "autoencode": None}, "autoencode belongs to phase autoencode"),
        (
            {"phase": "regress", "flow": {"shift": 3.0}},
            "flow.shift belongs to phases align, ground",
        ),
        ({"phase": "dmd", "flow": {"mean": 1.0}}, "flow.mean belongs to phases align, ground"),
        ({"phase": "dmd", "distil": {"steps": 8}}, "distil.steps belongs to phases consistency"),
        ({"phase": "ground", "data": {"scenes": {}}}, "data.scenes belongs to phase dmd"),
        (
            {"phase": "train_dino", "parallel": {"compile": True}},
            "parallel belongs to phases align",
        ),
    ],
)
def test_a_setting_of_another_phase_names_the_phases_that_have_it(changes, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        phase_settings(changes)


def test_all_that_belongs_elsewhere_is_named_at_once(tmp_path):
    changes = {"phase": "align", "distil": {"teacher": "x", "steps": 8}, "dmd": {"clip": 3}}
    path = write_config(tmp_path / "run.yaml", changes)
    words = (
        "run.yaml: distil.steps, distil.teacher belong to phases consistency, regress, dmd; "
        "dmd.clip belongs to phase dmd; this is phase align: remove them"
    )
    with pytest.raises(ValueError, match=re.escape(words)):
        read_settings(path)
    alone = write_config(tmp_path / "alone.yaml", {"phase": "align"})
    with pytest.raises(ValueError, match=re.escape(TEACHER)):
        read_settings(alone, ["--distil.teacher", "x"])


@pytest.mark.parametrize("phase", list(PHASES))
def test_what_a_run_writes_down_is_read_again(tmp_path, phase):
    config = phase_settings({"phase": phase, "steps": 7})
    save_config(config, tmp_path / "config.yaml")
    assert read_settings(tmp_path / "config.yaml") == config


def test_the_record_of_the_shipped_renderer_is_read():
    config = read_settings(ROOT / "assets" / "tiny" / "training.yaml")
    assert (config.phase, config.steps, config.guide.pixels.perceptual) == ("guide", 1100, 0.25)
