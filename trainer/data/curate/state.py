"""The record of every file: `DIR/.work/<name's hash>.json`, written when the file is done.

A file whose record has the current fingerprint is not processed again. The fingerprint covers the
file (name, size, time of change), its caption, and all settings; not how the work is distributed.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from trainer.data.curate.settings import CurateSettings
from trainer.data.curate.sources import Source
from trainer.data.manifest import Clip

_VERSION = 1
"""Raise it when curation itself changes, so that all files are done again."""


@dataclass(frozen=True)
class RunOptions:
    """Applies to all files of a run."""

    out: Path
    settings: CurateSettings
    licence: str
    captioner: Path | None = None


@dataclass(frozen=True)
class Task:
    """One file to curate; without a `caption` the captioner writes one per clip."""

    source: Source
    caption: str | None
    fingerprint: str


@dataclass(frozen=True)
class Rejection:
    """A part of a file, or with `start_s` null all of it, that is left out.

    `reason` is a key of `quality.REASONS`, `also` holds further ones; `values` is what was
    measured.
    """

    file: str
    start_s: float | None
    end_s: float | None
    reason: str
    also: list[str]
    detail: str
    values: dict[str, float]


@dataclass(frozen=True)
class Preview:
    """A strip of frames for the report, a JPEG in base64; `reason` is empty for a kept clip."""

    title: str
    reason: str
    jpeg: str


@dataclass(frozen=True)
class Record:
    """All that came of one file."""

    name: str
    fingerprint: str
    clips: list[Clip] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    previews: Annotated[list[Preview], Field(alias="looks")] = field(default_factory=list)
    """`looks` in the file."""


_RECORD = TypeAdapter(Record)


def task_of(source: Source, caption: str | None, options: RunOptions) -> Task:
    """A file's task with its fingerprint."""
    parts: list[Any] = [_VERSION, source.name, _stamp(source.path), caption]
    parts += [options.licence, str(options.captioner), asdict(options.settings)]
    fingerprint = sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
    return Task(source, caption, fingerprint)


def _stamp(path: Path) -> tuple[int, int] | None:
    """Size and time of change; None of a link that leads nowhere, which will be unreadable."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def prefix_of(name: str) -> str:
    """The beginning of the ids of all clips of a file: readable, and unique by a hash."""
    stem = re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")[:40]
    return f"{stem or 'clip'}-{sha256(name.encode()).hexdigest()[:10]}"


def clip_path(options: RunOptions, clip: str) -> Path:
    """Where the clip of that id lies."""
    return options.out / "clips" / f"{clip}.mp4"


def finished(task: Task, options: RunOptions) -> Record | None:
    """The record of a file that is done: of this fingerprint, with all its clips there."""
    path = _path(task.source.name, options)
    try:
        record: Record = _RECORD.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None  # not done, or written by another version
    if record.fingerprint != task.fingerprint:
        return None
    there = all(clip_path(options, clip.id).is_file() for clip in record.clips)
    return record if there else None


def clear(task: Task, options: RunOptions) -> None:
    """Remove what an earlier or interrupted run left of a file."""
    _path(task.source.name, options).unlink(missing_ok=True)
    begin = prefix_of(task.source.name)
    for pattern in (f"{begin}-*.mp4", f".{begin}-*.partial"):
        for path in (options.out / "clips").glob(pattern):
            path.unlink()


def write_record(record: Record, options: RunOptions) -> None:
    """Write the record, by rename."""
    path = _path(record.name, options)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    part.write_bytes(_RECORD.dump_json(record, by_alias=True))
    part.replace(path)


def _path(name: str, options: RunOptions) -> Path:
    return options.out / ".work" / f"{sha256(name.encode()).hexdigest()[:24]}.json"
