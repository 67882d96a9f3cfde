"""Strict configuration: YAML differences, command-line overrides, errors with their path."""

from __future__ import annotations

import subprocess
import sys

import pytest

from c2r.config import load_config, override, parse_overrides, read_yaml, save_config
from c2r.models.configs import ControlConfig, Preset, TinyVAEConfig, WanVAEConfig
from c2r.models.presets import PRESETS, get_preset

TINY = get_preset("tiny")


def test_a_difference_from_the_base(tmp_path):
    file = tmp_path / "a.yaml"
    file.write_text("fps: 24\nstream:\n  window: 12\n  timesteps: [1000, 500]\n")
    config = load_config(TINY, file, ["--stream.sink", "2", "--control.inject=first:3"])
    assert (config.fps, config.stream.window, config.stream.sink) == (24, 12, 2)
    assert config.stream.timesteps == (1000.0, 500.0)
    assert config.control == ControlConfig(hidden=768, inject="first:3")
    assert config.dit == TINY.dit


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"stream": {"windw": 3}}, "unknown key 'stream.windw'"),
        ({"nmae": "x"}, "unknown key 'nmae'"),
        ({"stream": {"window": "wide"}}, r"stream.window: .*integer"),
        ({"fps": None}, "fps: "),
        ({"stream": {"window": 4}}, "raise window to 6"),
        ({"width": 250}, "250x144 is not a multiple of 16"),
        ({"control": {"kind": "magic"}}, "'adapter', 'controlnet' or 'none'"),
        ({"vae": {"kind": "huge"}}, r"vae\.kind is 'huge'; known: wan, tiny"),
        ({"stream": {"chunk": True}}, r"stream\.chunk: a number is wanted"),
        ({"dit": {"heads": 0}}, r"DiTConfig\.heads is 0; it must be above 0"),
        ({"fps": -3}, r"Preset\.fps is -3; it must be above 0"),
        ({"stream": {"shift": float("nan")}}, r"shift is nan"),
        ({"stream": {"context_noise": 5000}}, "must be 0 to below 1000"),
        ({"stream": {"first_chunk": 4}}, "must be 1 to chunk"),
        ({"stream": {"first_chunk": 0}}, "must be 1 to chunk"),
        ({"dit": {"channels": 8}}, "the VAE makes 16 channels, the DiT takes 8"),
    ],
)
def test_errors_name_the_place(changes, message):
    with pytest.raises(ValueError, match=message):
        override(TINY, changes)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--a"], "--a needs a value"),
        (["a", "3"], "expected --key"),
        (["--a", "1", "--a.b", "2"], "below"),
        (["--a.b", "1", "--a", "2"], "would undo"),
        (["--a", "[1"], "cannot be read as a value"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        parse_overrides(arguments)


def test_bad_files(tmp_path):
    with pytest.raises(ValueError, match="cannot read the configuration"):
        read_yaml(tmp_path / "absent.yaml")
    file = tmp_path / "bad.yaml"
    file.write_text("a: [1, 2")
    with pytest.raises(ValueError, match="is not YAML"):
        read_yaml(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ValueError, match=r"bad\.yaml: it is not text"):
        read_yaml(file)
    file.write_text("- 1\n- 2")
    with pytest.raises(ValueError, match="must hold `key: value` lines, not a list"):
        read_yaml(file)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_resolved_copy_reads_back_equal(tmp_path, name):
    preset: Preset = PRESETS[name]
    save_config(preset, tmp_path / "run" / "config.yaml")
    assert load_config(preset, tmp_path / "run" / "config.yaml") == preset


def test_a_union_keeps_its_kind():
    changed = override(TINY, {"vae": {"blocks": 1}})
    assert isinstance(changed.vae, TinyVAEConfig)
    assert changed.vae.blocks == 1
    assert changed.vae.patch == 2


def test_the_kind_chooses_the_class(tmp_path):
    changed = override(TINY, {"vae": {"kind": "wan", "base_dim": 32}})
    assert changed.vae == WanVAEConfig(base_dim=32)
    save_config(changed, tmp_path / "config.yaml")
    assert load_config(TINY, tmp_path / "config.yaml") == changed


def test_imports_no_torch():
    code = "import sys, c2r.config; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
