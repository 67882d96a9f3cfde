"""Files, indices, folders and hub ids: the right weights are found, or the reason is given."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file
from torch import Tensor

from c2r.models.build import build_vae
from c2r.models.presets import get_preset
from c2r.weights.folders import open_source, weight_files
from c2r.weights.hub import is_hub_id

State = dict[str, Tensor]


def shard(folder: Path, state: State, ending: str = "safetensors") -> Path:
    """Write the state dict as two shards with an index; gives the index."""
    folder.mkdir(parents=True, exist_ok=True)
    names = list(state)
    halves = (names[: len(names) // 2], names[len(names) // 2 :])
    files = [f"part-0000{i}-of-00002.{ending}" for i in (1, 2)]
    for file, half in zip(files, halves, strict=True):
        tensors = {name: state[name] for name in half}
        if ending == "safetensors":
            save_file(tensors, folder / file)
        else:
            torch.save(tensors, folder / file)
    weight_map = {name: file for file, half in zip(files, halves, strict=True) for name in half}
    index = folder / f"part.{ending}.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return index


def same(source: Any, state: State) -> bool:
    return source.entries.keys() == state.keys() and all(
        torch.equal(source.read(name), tensor) for name, tensor in state.items()
    )


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
def test_shards_with_an_index(tmp_path: Path, state: State, ending: str) -> None:
    index = shard(tmp_path / "model", state, ending)
    for path in (index, index.parent, str(index.parent)):
        source = open_source(path, "dit")
        assert same(source, state)
        assert len(source.files) == 3


def test_a_missing_shard_is_named(tmp_path: Path, state: State) -> None:
    index = shard(tmp_path, state)
    (tmp_path / "part-00002-of-00002.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"shards that are not there: part-00002-of-00002"):
        open_source(index, "dit")


def test_a_truncated_shard_is_named(tmp_path: Path, state: State) -> None:
    index = shard(tmp_path, state)
    path = tmp_path / "part-00002-of-00002.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"part-00002-of-00002.safetensors is cut short"):
        open_source(index, "dit")


def test_an_index_of_another_checkpoint(tmp_path: Path, state: State) -> None:
    index = shard(tmp_path, state)
    content = json.loads(index.read_text())
    content["weight_map"]["blocks.99.norm3.weight"] = "part-00001-of-00002.safetensors"
    index.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=r"holds blocks.99.norm3.weight, which it does not"):
        open_source(index, "dit")


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": "../a.safetensors"}}'],
)
def test_a_bad_index(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(text)
    with pytest.raises(ValueError, match=r"model.safetensors.index.json"):
        open_source(tmp_path, "dit")


def test_shards_of_an_interrupted_save(tmp_path: Path, state: State) -> None:
    index = shard(tmp_path, state)
    one = tmp_path / "part-00001-of-00002.safetensors"
    with pytest.raises(ValueError, match=rf"one of several shards; name their index {index}"):
        open_source(one)
    index.unlink()
    for path in (one, tmp_path):
        with pytest.raises(ValueError, match=r"no index .* was cut off"):
            open_source(path, "dit")


def test_a_pipeline_folder_is_searched_by_content(tmp_path: Path, state: State) -> None:
    """The network is told from the names of tensors; misleading file names do not matter."""
    vae = build_vae(get_preset("debug")).state_dict()
    torch.save(vae, tmp_path / "dit.pth")
    shard(tmp_path / "any" / "", state)
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "vae.bin").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    assert same(open_source(tmp_path, "dit"), state)
    assert same(open_source(tmp_path, "tiny-vae"), dict(vae))
    with pytest.raises(
        ValueError, match=r"holds no readable C2R control adapter, only dit.pth.*git-lfs"
    ):
        open_source(tmp_path, "adapter")
    with pytest.raises(ValueError, match="several files of weights"):
        open_source(tmp_path)


def test_two_of_a_kind_must_be_told_apart(official: Path, state: State) -> None:
    save_file(state, official.parent / "other.safetensors")
    with pytest.raises(
        ValueError, match=r"several .*: other.safetensors, weights.safetensors; name"
    ):
        open_source(official.parent, "dit")


def test_hidden_files_are_not_weights(official: Path, state: State) -> None:
    (official.parent / ".other.safetensors.partial").write_bytes(b"half")
    (official.parent / ".cache").mkdir()
    save_file(state, official.parent / ".cache" / "x.safetensors")
    assert weight_files(official.parent) == [official]


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("soon")
    with pytest.raises(FileNotFoundError, match="holds no weights"):
        open_source(tmp_path, "dit")


@pytest.mark.parametrize("path", ["gone", "gone/away/model", "gone/model.safetensors", "/gone/x"])
def test_a_missing_path_asks_no_hub(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)
    with pytest.raises(FileNotFoundError, match="do not exist; check the path"):
        open_source(path, "dit")


@pytest.mark.parametrize("hub_id", ["org/no-such-model", "org/no-such-model:dir/weights.pt"])
def test_an_unavailable_hub_id(hub_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="hf download org/no-such-model") as caught:
        open_source(hub_id, "dit")
    assert "name FOLDER" in str(caught.value)
    assert ("dir/weights.pt --local-dir" in str(caught.value)) == (":" in hub_id)


def test_a_hub_id_downloads_what_is_needed(
    official: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def snapshot_download(repository: str, **patterns: list[str]) -> str:
        asked.update(patterns, repository=repository)
        return str(official.parent)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert same(open_source("org/wan", "dit"), state)
    assert asked["repository"] == "org/wan"
    files = [
        "diffusion_pytorch_model.safetensors",
        "transformer/x.safetensors.index.json",
        "vae/diffusion_pytorch_model.safetensors",
        "text_encoder/model.safetensors",
        "models_t5_umt5-xxl-enc-bf16.pth",
    ]
    chosen = huggingface_hub.utils.filter_repo_objects(
        files, allow_patterns=asked["allow_patterns"], ignore_patterns=asked["ignore_patterns"]
    )
    assert list(chosen) == files[:2]


@pytest.mark.parametrize(
    ("text", "possible"),
    [
        ("Wan-AI/Wan2.1-T2V-1.3B", True),
        ("org/name:a/b.pt", True),
        ("org/name.safetensors", False),
        ("./name", False),
        ("a/b/c", False),
        ("name", False),
        ("C:\\weights", False),
    ],
)
def test_what_can_be_a_hub_id(text: str, possible: bool) -> None:
    assert is_hub_id(text) == possible
