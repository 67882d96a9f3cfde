"""Folders of exported engines that tests build and change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from c2r.exported.manifest import MANIFEST, manifest_text, read_manifest

STREET = Path(__file__).parents[2] / "assets" / "street" / "manifest.jsonl"
CALIBRATE = ("--calibrate", str(STREET), "--clips", "1", "--exclude", "blocks.2.*")
SEEDED = ("--random-weights", "--seed", "1")
"""The weights of `debug_networks`."""


def copy_of(built: Path, folder: Path) -> Path:
    folder.mkdir()
    for file in built.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return folder


def change(folder: Path, **changes: object) -> None:
    """Write a manifest that says something else, and is otherwise sound."""
    manifest = replace(read_manifest(folder), **changes)  # type: ignore[arg-type]
    (folder / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
