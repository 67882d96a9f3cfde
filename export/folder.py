"""A folder of exported engines while it is built: resumable, and never half written.

Each file is written in a hidden folder, flushed, and renamed. Beside each exported engine lies its
entry with a key: the hash of everything that the engine follows from. A build that was stopped
continues from the entries whose key still holds. The manifest is removed before the first change
and written last, so a folder with a manifest is whole whenever the process was killed.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

import c2r
from c2r.exported.manifest import (
    MANIFEST,
    EngineEntry,
    Manifest,
    baked_settings,
    file_sha256,
    json_sha256,
    manifest_text,
    read_manifest,
)
from c2r.exported.open_engines import weights_sha256
from c2r.models.build import Networks
from export.graphs import OPSET

STAGING = ".building"
ROOT = Path(c2r.__file__).parent.parent
SOURCES = (
    "c2r/kernels",
    "c2r/models",
    "c2r/exported/names.py",
    "export/graphs.py",
    "export/onnx_export.py",
    "export/precision/quantize.py",
)
"""The source that decides what a graph computes."""
EXPORTERS = ("torch", "onnx", "onnxscript")


@dataclass(frozen=True)
class Origin:
    """What all exported engines of a build follow from.

    `settings`: what of the preset is baked in. `weights`, `code`: hashes. `versions`: of the
    exporter's packages.
    """

    settings: Mapping[str, Any]
    precision: str
    weights: str
    versions: Mapping[str, str]
    code: str = field(default_factory=lambda: _code_sha256())

    def key(self, **more: Any) -> str:
        """Hash of all that and `more`."""
        return json_sha256({**vars(self), "opset": OPSET, **more})


def origin_of(networks: Networks, precision: str) -> Origin:
    """The origin of these networks' exported engines, in this checkout and environment."""
    versions = {name: version(name) for name in EXPORTERS}
    return Origin(baked_settings(networks.preset), precision, weights_sha256(networks), versions)


def commit() -> str:
    """The commit of this checkout, or `unknown`."""
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return head.stdout.strip()


def _code_sha256() -> str:
    places = [ROOT / source for source in SOURCES]
    files = [
        file for place in places for file in ([place], sorted(place.rglob("*.py")))[place.is_dir()]
    ]
    return json_sha256({str(file.relative_to(ROOT)): file_sha256(file) for file in files})


class ExportFolder:
    """The folder that a build fills."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A folder for unfinished files, removed afterwards; `OSError` names a full disk."""
        staging = self.path / STAGING
        self.path.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)  # of a build that was killed
        staging.mkdir()
        try:
            yield staging
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            free = shutil.disk_usage(self.path).free / 2**30
            raise OSError(
                errno.ENOSPC,
                f"the disk of {self.path} is full ({free:.1f} GiB free); free some room or give "
                "another --output (finished files stay and are not built again)",
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def up_to_date(self, file: str, key: str) -> EngineEntry | None:
        """The entry of a finished file, if its key is `key` and its files are undamaged."""
        try:
            text = self._entry_file(file).read_text(encoding="utf-8")
            entry = TypeAdapter(EngineEntry).validate_python(json.loads(text))
        except (OSError, ValueError, ValidationError):
            return None  # never finished, or of an older format
        if entry.key != key:
            return None
        whole = all(
            (self.path / name).is_file() and file_sha256(self.path / name) == expected
            for name, expected in entry.files.items()
        )
        return entry if whole else None

    def begin_change(self) -> None:
        # A manifest over changed files would pass for a whole folder if the build died now.
        (self.path / MANIFEST).unlink(missing_ok=True)

    def place(self, finished: Sequence[Path]) -> dict[str, str]:
        """Move finished files here; gives their SHA-256 by name."""
        self.begin_change()
        placed = {}
        for path in finished:
            flush(path)
            placed[path.name] = file_sha256(path)
            # The old entry goes first: it must never stand beside a file that it does not describe.
            self._entry_file(path.name).unlink(missing_ok=True)
            path.replace(self.path / path.name)
        return placed

    def finish(self, entry: EngineEntry, staging: Path) -> None:
        """Leave the entry of an exported engine whose files are placed."""
        partial = staging / "entry.json"
        partial.write_text(json.dumps(asdict(entry), indent=2), encoding="utf-8")
        flush(partial)
        partial.replace(self._entry_file(entry.file))

    def manifest(self) -> Manifest | None:
        try:
            return read_manifest(self.path)
        except ValueError:
            return None

    def close(self, manifest: Manifest, staging: Path) -> None:
        partial = staging / MANIFEST
        partial.write_text(manifest_text(manifest), encoding="utf-8")
        flush(partial)
        partial.replace(self.path / MANIFEST)

    def _entry_file(self, file: str) -> Path:
        return self.path / f"{file}.json"


def flush(path: Path) -> None:
    """Write a file's bytes to the disk: a crash could otherwise keep its new name and lose them."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
