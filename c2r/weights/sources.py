"""One weights file as names, shapes and types, and one tensor at a time on demand.

The format of a file is recognised by its first bytes, never by its name. Knows nothing of layouts
or networks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

FETCH_AGAIN = "download or copy it again"
ZIP, PICKLE, GIT_LFS = b"PK\x03\x04", b"\x80", b"version https://git-lfs"

DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}


@dataclass(frozen=True)
class Entry:
    """Shape and type of a tensor, from the header."""

    shape: tuple[int, ...]
    dtype: torch.dtype

    @property
    def elements(self) -> int:
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        return self.elements * self.dtype.itemsize


@dataclass(frozen=True)
class Source:
    """A set of tensors. `read(name)` returns one, which may be a view of a mapped file: copy it.

    `path` is named in messages; `files` are all files that belong to it.
    """

    path: Path
    files: tuple[Path, ...]
    entries: Mapping[str, Entry]
    read: Callable[[str], Tensor]
    metadata: Mapping[str, str] = field(default_factory=dict)


def source_of_tensors(path: Path, tensors: Mapping[str, Tensor]) -> Source:
    """Tensors in memory as a source; `path` says where they came from."""
    entries = {name: Entry(tuple(t.shape), t.dtype) for name, t in tensors.items()}
    return Source(path, (path,), entries, tensors.__getitem__)


def open_file(path: Path) -> Source:
    """A `.safetensors`, `.pth`, `.pt` or `.bin` file, whatever its name.

    `FileNotFoundError` if it is missing; `ValueError`, saying what to do, if it is empty, cut
    short, no checkpoint at all, or a pickle of more than tensors.
    """
    if not path.is_file():
        raise FileNotFoundError(f"weights file {path} does not exist; check the path")
    with path.open("rb") as file:
        head = file.read(64)
    if _is_safetensors(head):
        return _open_safetensors(path)
    _refuse_foreign(path, head)
    return source_of_tensors(path, _read_torch(path, mapped=head.startswith(ZIP)))


def _is_safetensors(head: bytes) -> bool:
    """Length of the header (whose first byte may be that of a pickle), then JSON."""
    return head[8:9] == b"{" and not head.startswith(ZIP)


def _refuse_foreign(path: Path, head: bytes) -> None:
    """`ValueError` unless this is a file of `torch.save`."""
    if not head:
        raise ValueError(f"{path} is empty (0 bytes); {FETCH_AGAIN}")
    if head.startswith(GIT_LFS):
        raise ValueError(
            f"{path} is a git-lfs pointer, not the weights; run `git lfs pull` in its repository "
            "or download the file itself"
        )
    if head.lstrip().startswith(b"<"):
        raise ValueError(
            f"{path} is a web page, not weights; log in where needed and {FETCH_AGAIN}"
        )
    if not head.startswith((ZIP, PICKLE)):
        raise ValueError(
            f"{path} is not a checkpoint: neither safetensors nor a file of torch.save; "
            "name a .safetensors, .pth, .pt or .bin file"
        )
    if path.suffix == ".safetensors":  # torch.load would go by the name
        raise ValueError(f"{path} is no safetensors but a file of torch.save; rename it to .pt")


def _open_safetensors(path: Path) -> Source:
    entries = {}
    with _safetensors(path) as file:
        metadata = file.metadata() or {}
        for name in file.keys():  # noqa: SIM118 - the handle is no mapping
            part = file.get_slice(name)
            entries[name] = Entry(tuple(part.get_shape()), _dtype(part.get_dtype(), name, path))
    if not entries:
        raise ValueError(f"{path} holds no tensors; {FETCH_AGAIN}")
    return Source(path, (path,), entries, partial(_read_safetensors, path), metadata)


def _read_safetensors(path: Path, name: str) -> Tensor:
    """One tensor. Reopened each time (1 ms), so that the pages of earlier tensors are released."""
    with _safetensors(path) as file:
        tensor: Tensor = file.get_tensor(name)
    return tensor


@contextmanager
def _safetensors(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        size = path.stat().st_size
        raise ValueError(
            f"{path} is cut short or damaged ({size} bytes; {error}); {FETCH_AGAIN}"
        ) from error


def _dtype(code: str, name: str, path: Path) -> torch.dtype:
    if code not in DTYPES:
        raise ValueError(
            f"{path}: tensor {name} is stored as {code}, which is not read here; "
            f"convert it to one of {', '.join(DTYPES)}"
        )
    return DTYPES[code]


def _read_torch(path: Path, *, mapped: bool) -> dict[str, Tensor]:
    """The tensors of a `torch.save` file, names of nested dicts joined by dots.

    Tensors are mapped, not read, except in files older than torch 1.6 (not `mapped`).
    """
    try:
        content = torch.load(path, map_location="cpu", mmap=mapped, weights_only=True)
    except (OSError, MemoryError):
        raise
    except UnpicklingError as error:
        raise ValueError(
            f"{path} holds Python objects other than tensors, or is damaged. Such a file can run "
            "code when loaded, so it is refused; get it as .safetensors, or save its plain state "
            "dict again with torch.save"
        ) from error
    except Exception as error:  # any other error of torch.load means a bad file
        reason = str(error).split("\n", 1)[0].split(". ", 1)[0] or type(error).__name__
        raise ValueError(
            f"{path} is cut short or no checkpoint ({reason}); {FETCH_AGAIN}"
        ) from error
    tensors = dict(_flatten(content, ""))
    if not tensors:
        raise ValueError(
            f"{path} holds no state dict but {type(content).__name__}; save `module.state_dict()`"
        )
    return tensors


def _flatten(content: Any, prefix: str) -> list[tuple[str, Tensor]]:
    """Every tensor below nested mappings; steps, settings and the like are left out."""
    if isinstance(content, Tensor) and prefix:
        return [(prefix, content)]
    if not isinstance(content, Mapping):
        return []
    dot = f"{prefix}." if prefix else ""
    return [pair for key, value in content.items() for pair in _flatten(value, f"{dot}{key}")]
