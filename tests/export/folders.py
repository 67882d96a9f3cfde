"""Engine folders that tests change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from c2r.exported.manifest import MANIFEST, manifest_text, read_manifest


def copy_of(built: Path, folder: Path) -> Path:
    """A folder of its own with the same files."""
    folder.mkdir()
    for file in built.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(folder: Path, **changes: object) -> None:
    """A manifest that says something else, and is otherwise sound."""
    manifest = replace(read_manifest(folder), **changes)  # type: ignore[arg-type]
    (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
