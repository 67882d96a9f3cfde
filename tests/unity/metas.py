"""Unity's `.meta` files of the package; `python -m tests.unity.metas` writes what is missing.

A file's guid is the MD5 of its path, so that two checkouts never disagree. Folders whose name ends
in `~`, and what is in them, have none: Unity ignores them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tests.unity.unity_rig import PACKAGE

NAME = "com.c2r.renderer"
_TAIL = "  externalObjects: {}\n  userData:\n  assetBundleName:\n  assetBundleVariant:\n"
_SCRIPT = """MonoImporter:
  externalObjects: {}
  serializedVersion: 2
  defaultReferences: []
  executionOrder: 0
  icon: {instanceID: 0}
  userData:
  assetBundleName:
  assetBundleVariant:
"""
IMPORTERS = {
    ".cs": _SCRIPT,
    ".asmdef": "AssemblyDefinitionImporter:\n" + _TAIL,
    ".shader": "ShaderImporter:\n  externalObjects: {}\n  defaultTextures: []\n"
    "  nonModifiableTextures: []\n  userData:\n  assetBundleName:\n  assetBundleVariant:\n",
    ".json": "TextScriptImporter:\n" + _TAIL,
    ".md": "TextScriptImporter:\n" + _TAIL,
}
_FOLDER = "folderAsset: yes\nDefaultImporter:\n" + _TAIL
_MANIFEST = "PackageManifestImporter:\n" + _TAIL


def assets() -> Iterator[Path]:
    """Everything that Unity imports: files and folders."""
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        hidden = any(part.endswith("~") or part.startswith(".") for part in inside.parts)
        if not hidden and path.suffix != ".meta":
            yield path


def guid(path: Path) -> str:
    """32 hexadecimal digits."""
    inside = path.relative_to(PACKAGE).as_posix()
    return hashlib.md5(f"{NAME}/{inside}".encode(), usedforsecurity=False).hexdigest()


def text(path: Path) -> str:
    """What an asset's `.meta` holds. `KeyError` for a kind of file that the package has not yet."""
    if path.is_dir():
        importer = _FOLDER
    elif path.name == "package.json":
        importer = _MANIFEST
    else:
        importer = IMPORTERS[path.suffix]
    return f"fileFormatVersion: 2\nguid: {guid(path)}\n{importer}"


def meta_of(path: Path) -> Path:
    """The `.meta` beside an asset."""
    return path.with_name(path.name + ".meta")


def main() -> None:
    """Write what is missing, take away what has no asset."""
    there = {meta_of(path) for path in assets()}
    for path in PACKAGE.rglob("*.meta"):
        if path not in there:
            path.unlink()
    for path in assets():
        if not meta_of(path).is_file():
            meta_of(path).write_text(text(path), encoding="utf-8")


if __name__ == "__main__":
    main()
