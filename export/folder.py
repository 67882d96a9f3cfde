"""An engine folder while it is made: nothing half written under a final name, the manifest last.

Files are made in a hidden folder and renamed when they are whole and on the disk. Beside each
engine lies its entry, so that an interrupted build goes on where it stopped. Before anything
changes, the manifest goes: from then on the folder is not whole until a new one is written.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from c2r.exported.manifest import (
    MANIFEST,
    EngineEntry,
    Manifest,
    file_sha256,
    manifest_text,
    read_manifest,
)

STAGING = ".building"


class EngineFolder:
    """The folder that a build fills."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def building(self) -> Iterator[Path]:
        """A place for files that are not whole yet, gone afterwards. `OSError` of a full disk says
        how much room there is.
        """
        staging = self.path / STAGING
        self.path.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(staging, ignore_errors=True)  # of a build that was interrupted
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
                "another --output. What was finished stays and will not be built again",
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def up_to_date(self, file: str, key: str) -> EngineEntry | None:
        """The entry of a finished engine, if it follows from the same things and is undamaged."""
        try:
            text = self._entry_file(file).read_text(encoding="utf-8")
            entry = TypeAdapter(EngineEntry).validate_python(json.loads(text))
        except (OSError, ValueError, ValidationError):
            return None  # never finished
        if entry.key != key:
            return None
        whole = all(
            (self.path / name).is_file() and file_sha256(self.path / name) == expected
            for name, expected in entry.files.items()
        )
        return entry if whole else None

    def begin_change(self) -> None:
        """The folder is about to differ from its manifest."""
        (self.path / MANIFEST).unlink(missing_ok=True)

    def place(self, made: Sequence[Path]) -> dict[str, str]:
        """Move finished files here; gives their SHA-256 by name."""
        self.begin_change()
        placed = {}
        for path in made:
            flush(path)
            placed[path.name] = file_sha256(path)
            self._entry_file(path.name).unlink(missing_ok=True)
            path.replace(self.path / path.name)
        return placed

    def finish(self, entry: EngineEntry, staging: Path) -> None:
        """Leave the entry of an engine whose files are placed."""
        partial = staging / "entry.json"
        partial.write_text(json.dumps(asdict(entry), indent=2), encoding="utf-8")
        flush(partial)
        partial.replace(self._entry_file(entry.file))

    def manifest(self) -> Manifest | None:
        """The manifest, if the folder is whole."""
        try:
            return read_manifest(self.path)
        except ValueError:
            return None

    def close(self, manifest: Manifest, staging: Path) -> None:
        """Write the manifest: the folder is whole."""
        partial = staging / MANIFEST
        partial.write_text(manifest_text(manifest), encoding="utf-8")
        flush(partial)
        partial.replace(self.path / MANIFEST)

    def _entry_file(self, file: str) -> Path:
        return self.path / f"{file}.json"


def flush(path: Path) -> None:
    """Have a file on the disk before it gets its name."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())
