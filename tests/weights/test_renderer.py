"""A whole renderer: written as a folder, read back equal; single parts; what is missing."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from c2r.__main__ import run
from c2r.models.build import PART_NAMES, Networks, seeded_notice, seeded_text
from c2r.models.configs import ControlConfig, TextConfig, WanVAEConfig
from c2r.models.presets import get_preset
from c2r.models.seeded import SeededText
from c2r.models.text import TextEncoder
from c2r.weights.renderer import (
    WeightPaths,
    choose_networks,
    load_networks,
    read_renderer,
    save_renderer,
    seeded_networks,
)
from c2r.weights.save import save_weights

DEBUG = get_preset("debug")


@pytest.fixture(scope="module")
def networks() -> Networks:
    return seeded_networks(DEBUG, seed=4)


@pytest.fixture
def folder(networks, tmp_path):
    save_renderer(networks, tmp_path / "renderer")
    return tmp_path / "renderer"


def weights_of(networks: Networks) -> dict[str, torch.Tensor]:
    assert isinstance(networks.text, TextEncoder)
    parts: dict[str, nn.Module] = {"dit": networks.dit, "vae": networks.vae, "dino": networks.dino}
    parts["text"] = networks.text.model
    if networks.control is not None:
        parts["control"] = networks.control
    return {f"{p}.{n}": value for p, m in parts.items() for n, value in m.state_dict().items()}


def test_a_folder_reads_back_equal(networks, folder):
    preset, paths = read_renderer(folder)
    assert preset == DEBUG
    loaded = load_networks(preset, paths)
    assert loaded.random_parts == ()
    assert seeded_notice(loaded, 0) is None
    expected, found = weights_of(networks), weights_of(loaded)
    assert expected.keys() == found.keys()
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    prompt = ["a street at night"]
    torch.testing.assert_close(loaded.text.encode(prompt), networks.text.encode(prompt))


def test_half_precision(folder):
    loaded = load_networks(*read_renderer(folder), dtype=torch.bfloat16)
    assert loaded.dit.dtype == torch.bfloat16
    assert loaded.dit.blocks[0].modulation.dtype == torch.float32
    assert next(loaded.vae.parameters()).dtype == torch.bfloat16


def test_parts_without_weights_are_named(folder):
    preset, paths = read_renderer(folder)
    loaded = load_networks(preset, replace(paths, dit=None, text=None), seed=3)
    assert loaded.random_parts == ("dit", "text")
    notice = seeded_notice(loaded, 3)
    assert notice is not None
    assert "for dit, text; they were made from seed 3" in notice


def test_random_weights_come_from_the_seed_alone(networks):
    torch.manual_seed(123)
    again, other = seeded_networks(DEBUG, seed=4), seeded_networks(DEBUG, seed=5)
    assert again.random_parts == PART_NAMES
    expected, found = weights_of(networks), weights_of(again)
    assert all(torch.equal(value, found[name]) for name, value in expected.items())
    name = "dit.blocks.0.ffn.0.weight"
    assert not torch.equal(expected[name], weights_of(other)[name])


def test_control_weights_without_control_are_refused(folder):
    preset, paths = read_renderer(folder)
    preset = replace(preset, control=ControlConfig(kind="none"))
    with pytest.raises(ValueError, match=r"control\.kind is none"):
        load_networks(preset, paths)


def test_a_folder_with_another_vae_reads_back(networks, tmp_path):
    """The kind of VAE may differ from the preset's own."""
    wan = replace(DEBUG, vae=WanVAEConfig(base_dim=8, res_blocks=1))
    save_renderer(seeded_networks(wan, 1), tmp_path)
    assert read_renderer(tmp_path)[0] == wan


def test_a_damaged_preset_names_the_file(folder):
    (folder / "preset.yaml").write_text("name: debug\nstream:\n  windw: 3\n")
    with pytest.raises(ValueError, match=r"preset\.yaml: unknown key 'stream\.windw'"):
        read_renderer(folder)


def test_no_control_needs_no_control_file(tmp_path):
    preset = replace(DEBUG, control=ControlConfig(kind="none"))
    save_renderer(seeded_networks(preset, seed=1), tmp_path)
    loaded = load_networks(*read_renderer(tmp_path))
    assert loaded.control is None
    assert loaded.random_parts == ()


def test_faulty_folders(folder, tmp_path):
    with pytest.raises(ValueError, match=r"has no preset\.yaml"):
        read_renderer(tmp_path)
    (folder / "vae.safetensors").unlink()
    with pytest.raises(ValueError, match=r"it lacks vae\.safetensors"):
        read_renderer(folder)


def test_a_dino_of_another_width(folder, tmp_path):
    other = replace(DEBUG, dino=replace(DEBUG.dino, hidden=96))
    seeded_networks(other, seed=1).dino.model.save_pretrained(tmp_path / "dino")
    paths = replace(read_renderer(folder)[1], dino=str(tmp_path / "dino"))
    with pytest.raises(ValueError, match="is 96 wide, preset debug wants 32"):
        load_networks(DEBUG, paths)


def test_choice_of_preset_and_parts(folder):
    tiny = get_preset("tiny"), WeightPaths()
    assert choose_networks(None, None, WeightPaths(), random_weights=True) == tiny
    preset, paths = choose_networks(None, folder, WeightPaths(vae="other.pth"))
    assert preset == DEBUG
    assert paths.vae == "other.pth"
    assert paths.dit == str(folder / "dit.safetensors")
    with pytest.raises(ValueError, match="leave --preset out"):
        choose_networks("wan-14b", folder, WeightPaths())


def test_large_text_encoders_are_random_not_built(tmp_path):
    text = seeded_text(get_preset("wan-1.3b").text, seed=1)
    assert isinstance(text, SeededText)
    one, two = text.encode(["noon", "night"])
    assert one.shape == (512, 4096)
    assert one[:5].std() == pytest.approx(1, abs=0.1)
    assert not one[5:].any()
    assert not torch.equal(one, two)
    assert torch.equal(text.encode(["noon"])[0], one)
    with pytest.raises(ValueError, match="load one before saving"):
        save_renderer(replace(seeded_networks(DEBUG, 1), text=text), tmp_path)


def test_stand_in_reads_whole_prompts():
    config = TextConfig(dim=2048, length=8)
    assert SeededText(config, 0).encode(["x" * 50])[0].any(dim=1).all()


def test_the_folder_is_plain_files(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"preset.yaml", "dit.safetensors", "control.safetensors", "vae.safetensors"} <= names
    assert json.loads((folder / "dino" / "config.json").read_text())["hidden_size"] == 32


def test_a_packed_renderer_is_half_as_large_and_the_same_but_for_rounding(
    networks, folder, tmp_path, capsys
):
    (folder / "made.json").write_text("{}")
    packed = tmp_path / "packed"
    assert run(["weights", "pack", str(folder), str(packed)]) == 0
    assert "MB" in capsys.readouterr().out
    assert (packed / "made.json").is_file()
    size = {f: sum(p.stat().st_size for p in f.rglob("*.safetensors")) for f in (folder, packed)}
    assert size[packed] < 0.6 * size[folder]  # headers are not halved
    again = weights_of(load_networks(*read_renderer(packed)))
    for name, value in weights_of(networks).items():
        assert again[name].dtype == torch.float32
        torch.testing.assert_close(again[name], value, rtol=1e-3, atol=1e-6)
    other = seeded_networks(DEBUG, seed=5).vae
    save_weights(other, tmp_path / "vae.safetensors")
    more = ["--vae", str(tmp_path / "vae.safetensors"), "--precision", "float32"]
    assert run(["weights", "pack", str(folder), str(tmp_path / "decoder"), *more]) == 0
    mixed = weights_of(load_networks(*read_renderer(tmp_path / "decoder")))
    expected = weights_of(networks) | {f"vae.{n}": v for n, v in other.state_dict().items()}
    assert all(torch.equal(mixed[name], value) for name, value in expected.items())
    capsys.readouterr()
    assert run(["weights", "pack", str(folder), str(packed)]) == 2
    assert "exists already" in capsys.readouterr().err
