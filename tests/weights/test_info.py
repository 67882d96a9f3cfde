"""What `c2r weights` says of files, and how it fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import save_file
from torch import Tensor, nn

from c2r.models.dit import DiT
from c2r.models.presets import get_preset
from c2r.weights.cli import main
from c2r.weights.dit_names import to_diffusers
from c2r.weights.info import inspect_path, inspect_source
from c2r.weights.layouts import Network
from c2r.weights.match import build_on_meta
from c2r.weights.networks import load_dit
from c2r.weights.sources import Entry, Source

State = dict[str, Tensor]


def described(names: dict[str, tuple[int, ...]], dtype: torch.dtype = torch.bfloat16) -> Source:
    """A source of such tensors; inspecting must not read any."""

    def read(name: str) -> Tensor:
        raise AssertionError(f"{name} was read")

    path = Path("x.safetensors")
    return Source(path, (path,), {name: Entry(s, dtype) for name, s in names.items()}, read)


def shapes(network: Network, preset: str) -> dict[str, tuple[int, ...]]:
    module = build_on_meta(network, get_preset(preset))
    assert module is not None
    return {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}


@pytest.mark.parametrize(
    ("network", "preset", "layout"),
    [
        ("dit", "tiny", "wan"),
        ("dit", "wan-1.3b", "wan"),
        ("dit", "wan-14b", "wan"),
        ("adapter", "tiny", "c2r-adapter"),
        ("adapter", "wan-1.3b", "c2r-adapter"),
        ("adapter", "wan-14b", "c2r-adapter"),
        ("controlnet", "wan-1.3b", "c2r-controlnet"),
        ("tiny-vae", "tiny", "taehv"),
        ("tiny-vae", "wan-1.3b", "taehv"),
        ("wan-vae", "wan-14b", "diffusers-vae"),
    ],
)
def test_every_network_of_every_preset(network: Network, preset: str, layout: str) -> None:
    info = inspect_source(described(shapes(network, preset)))
    assert (info.network, info.layout, info.preset) == (network, layout, preset)
    count = sum(torch.Size(shape).numel() for shape in shapes(network, preset).values())
    assert info.parameters == count
    assert info.bytes == 2 * count
    assert info.dtypes == {"bfloat16": count}
    assert f"{count:,} (bfloat16 {count:,})" in info.text()
    assert preset in info.text()


def test_diffusers_and_self_forcing_fit_presets_too() -> None:
    plain = shapes("dit", "wan-1.3b")
    theirs = inspect_source(described({str(to_diffusers(k)): s for k, s in plain.items()}))
    assert (theirs.layout, theirs.preset) == ("diffusers", "wan-1.3b")
    both = {
        f"{root}.model.{k}": s for root in ("generator", "generator_ema") for k, s in plain.items()
    }
    student = inspect_source(described(both))
    assert (student.layout, student.preset) == ("self-forcing", "wan-1.3b")
    assert student.parameters == 1_418_996_800
    assert student.skipped == len(plain)
    assert "left alone" in student.text()


def test_a_tgrow_with_spare_outputs_fits_the_preset() -> None:
    grown = shapes("tiny-vae", "wan-1.3b")
    outputs, *rest = grown["decoder.7.conv.weight"]
    grown["decoder.7.conv.weight"] = (2 * outputs, *rest)
    assert inspect_source(described(grown)).preset == "wan-1.3b"


def test_no_preset_is_claimed_for_what_does_not_fit() -> None:
    names = shapes("dit", "wan-1.3b")
    extra = inspect_source(described({**names, "blocks.0.gate": (1,)}))
    del names["head.modulation"]
    assert extra.preset is None
    info = inspect_source(described(names))
    assert info.preset is None
    assert info.sizes == "30 layers, width 1536, ffn 8960, channels 16, text width 4096"
    assert "none" in info.text()


def test_an_unknown_file_is_counted(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(3), "b": torch.zeros(4, dtype=torch.int64)}, tmp_path / "x")
    (info,) = inspect_path(tmp_path / "x")
    assert (info.layout, info.network, info.preset) == (None, None, None)
    assert (info.parameters, info.bytes) == (7, 44)
    assert info.dtypes == {"int64": 4, "float32": 3}
    assert "unknown" in info.text()


def test_the_command_describes_every_set_in_a_folder(
    official: Path, state: State, capsys: pytest.CaptureFixture[str]
) -> None:
    adapter = build_on_meta("adapter", get_preset("tiny"))
    assert isinstance(adapter, nn.Module)
    adapter.to_empty(device="cpu")
    torch.save(adapter.state_dict(), official.parent / "control.pt")
    assert main(["inspect", str(official.parent)]) == 0
    said = capsys.readouterr().out
    assert "C2R control adapter, layout c2r-adapter" in said
    assert "Wan DiT, layout wan" in said
    assert f"{sum(x.numel() for x in state.values()):,}" in said


@pytest.mark.parametrize("name", ["gone", "text.pt", "folder"])
def test_a_users_mistake_is_one_line_and_exit_code_2(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "text.pt").write_text("no weights at all")
    (tmp_path / "folder").mkdir()
    assert main(["inspect", str(tmp_path / name)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("c2r weights: ")
    assert said.err.count("\n") == 1
    assert name in said.err


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    assert "inspect" in capsys.readouterr().out
    with pytest.raises(ValueError, match="are required: path"):
        main(["inspect"])


def test_convert_there_and_back(tmp_path: Path, official: Path, state: State, dit: DiT) -> None:
    steps = [str(official), *(str(tmp_path / name) for name in ("a", "b", "c.safetensors"))]
    for source, target, layout in zip(
        steps, steps[1:], ["diffusers", "c2r-backbone", "wan"], strict=False
    ):
        assert main(["convert", source, target, "--layout", layout]) == 0
    assert [inspect_path(step)[0].layout for step in steps] == [
        "wan",
        "diffusers",
        "c2r-backbone",
        "wan",
    ]
    back = load_dit(steps[-1], dit.config, dtype=torch.float32).state_dict()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_converting_a_known_preset_gives_diffusers_its_config(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    dit = DiT(get_preset("tiny").dit)
    torch.save(
        {"generator_ema": {f"model.{k}": x for k, x in dit.state_dict().items()}}, tmp_path / "s.pt"
    )
    assert (
        main(["convert", str(tmp_path / "s.pt"), str(tmp_path / "out"), "--layout", "diffusers"])
        == 0
    )
    assert "config.json" in capsys.readouterr().out
    theirs = WanTransformer3DModel.from_pretrained(tmp_path / "out")
    assert torch.equal(theirs.proj_out.weight, dit.state_dict()["head.head.weight"])


def test_convert_says_when_it_cannot_write_a_config(
    tmp_path: Path, dit: DiT, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.safetensors"
    save_file(DiT(replace(dit.config, layers=2)).state_dict(), other)
    assert main(["convert", str(other), str(tmp_path / "out"), "--layout", "diffusers"]) == 0
    assert "no config.json" in capsys.readouterr().err


def test_convert_takes_dits_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.save({"dino_fusion_bridge.fc1.bias": torch.zeros(2)}, tmp_path / "x.pt")
    assert main(["convert", str(tmp_path / "x.pt"), str(tmp_path / "out")]) == 2
    assert "control adapter" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
