"""Single files: read without reading tensors, and refused with the reason when they are bad."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from c2r.weights.sources import Entry, open_file

TENSORS = {
    "a.weight": torch.arange(6, dtype=torch.bfloat16).reshape(2, 3),
    "b": torch.tensor([1.5, -2.0]),
    "count": torch.tensor(7),
}


class RunsCode:
    """Unpickled, this makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.folder),)


def write(path: Path, kind: str) -> None:
    if kind == "safetensors":
        save_file(TENSORS, path, metadata={"step": "3"})
    else:
        torch.save(TENSORS, path, _use_new_zipfile_serialization=kind == "zip")


@pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
def test_the_kind_is_told_from_the_content(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "no-ending"
    write(path, kind)
    source = open_file(path)
    assert source.entries == {
        "a.weight": Entry((2, 3), torch.bfloat16),
        "b": Entry((2,), torch.float32),
        "count": Entry((), torch.int64),
    }
    assert all(torch.equal(source.read(name), tensor) for name, tensor in TENSORS.items())
    assert source.files == (path,)
    assert [source.entries[name].bytes for name in TENSORS] == [12, 8, 8]
    assert source.metadata == ({"step": "3"} if kind == "safetensors" else {})


@pytest.mark.parametrize("first_byte", [0x80, 0x50, 0x18])
def test_safetensors_whose_length_begins_like_another_kind(tmp_path: Path, first_byte: int) -> None:
    """The header's length comes first: its low byte can be that of a pickle (0x80)."""
    path = tmp_path / "x.safetensors"
    for padding in range(256):
        save_file(TENSORS, path, metadata={"note": "x" * padding})
        if path.read_bytes()[0] == first_byte:
            break
    assert path.read_bytes()[0] == first_byte
    assert open_file(path).entries.keys() == TENSORS.keys()


def test_nested_training_files_are_flattened(tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    nested: dict[str, object] = {"generator": {"model": TENSORS}, "step": 100, "names": ["x"]}
    torch.save(nested, path)
    source = open_file(path)
    assert list(source.entries) == [f"generator.model.{name}" for name in TENSORS]
    assert torch.equal(source.read("generator.model.b"), TENSORS["b"])


@pytest.mark.parametrize("kind", ["safetensors", "zip", "old"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.99])
def test_truncated_files(tmp_path: Path, kind: str, share: float) -> None:
    path = tmp_path / "cut"
    write(path, kind)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ValueError, match=r"cut.* (cut short|not a checkpoint|damaged)"):
        open_file(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is empty \(0 bytes\); download or copy it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "`git lfs pull`"),
        (b"\n<!DOCTYPE html><html>", "is a web page"),
        (b"These are my weights, all of them.", "is not a checkpoint"),
        (b"GGUF\x03\x00\x00\x00\x01\x00\x00\x00\x00\x00", "is not a checkpoint"),
        (pickle.dumps([1, 2]), "no safetensors but a file of torch.save; rename it to .pt"),
    ],
)
def test_foreign_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        open_file(path)
    assert str(path) in str(caught.value)


def test_a_zip_that_is_no_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "photos.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("photos/cat.txt", "meow")
    with pytest.raises(ValueError, match=r"photos.pth is cut short or no checkpoint"):
        open_file(path)


@pytest.mark.parametrize("content", [TENSORS["b"], {"step": 3}])
def test_torch_files_without_a_state_dict(tmp_path: Path, content: object) -> None:
    path = tmp_path / "x.pt"
    torch.save(content, path)
    with pytest.raises(ValueError, match="holds no state dict"):
        open_file(path)


def test_safetensors_without_tensors(tmp_path: Path) -> None:
    nothing: dict[str, Tensor] = {}
    save_file(nothing, tmp_path / "x.safetensors")
    with pytest.raises(ValueError, match="holds no tensors"):
        open_file(tmp_path / "x.safetensors")


@pytest.mark.parametrize("new", [True, False])
def test_a_file_that_would_run_code_is_refused(tmp_path: Path, new: bool) -> None:
    path, mark = tmp_path / "evil.pt", tmp_path / "ran"
    torch.save({**TENSORS, "x": RunsCode(mark)}, path, _use_new_zipfile_serialization=new)
    with pytest.raises(ValueError, match=r"evil.pt holds Python objects.*refused; get it as"):
        open_file(path)
    assert not mark.exists()


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone.pt does not exist"):
        open_file(tmp_path / "gone.pt")
