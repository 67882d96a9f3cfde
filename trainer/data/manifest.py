"""The manifest: one JSON line per clip, paths relative to the manifest's own folder.

Reading checks every row and gathers what is wrong with all of them; each error has its row number.
Writing is atomic, by rename: a manifest that exists is complete.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, TypeAdapter, ValidationError

from trainer.data.manifest_checks import Check, file_faults, path_faults
from trainer.sample_random import plain_random

MOST_ERRORS = 20
"""Faults that one message lists."""


@dataclass(frozen=True)
class Clip:
    """One row. `video`, `control` (the coarse clip) and `geometry` are relative paths with forward
    slashes; `hash` and `control_hash` are SHA-256 of the files. `wordings` say in other words what
    `caption` says. `seed` is a scene's, of "cg" clips; `licence` is a real clip's.
    """

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    id: str
    source: Literal["real", "cg"]
    video: str
    control: str | None
    caption: str
    fps: float
    frames: int
    width: int
    height: int
    seed: int | None
    licence: str | None
    hash: str
    control_hash: str | None
    split: Literal["train", "held_out"]
    attributes: dict[str, str] = field(default_factory=dict)
    geometry: str | None = None
    wordings: tuple[str, ...] = ()

    @property
    def captions(self) -> tuple[str, ...]:
        """The caption and its other wordings."""
        return (self.caption, *self.wordings)

    def wording(self, seed: int, draw: int) -> int:
        """Which of its captions sample `draw` has."""
        return plain_random(seed, draw, "wording").randrange(len(self.captions))

    @property
    def role(self) -> Literal["real", "cg"]:
        """What training takes it for: a render without a coarse clip is used like real footage,
        as its own control in other colours.
        """
        return "cg" if self.control is not None else "real"


_ROW = TypeAdapter(Clip)


@dataclass(frozen=True)
class Sifted:
    """The good rows of a manifest, and why each other one was left out, row number first."""

    clips: tuple[Clip, ...]
    skipped: tuple[str, ...]


def read_manifest(path: Path, *, check: Check = "files") -> tuple[Clip, ...]:
    """All rows, or ValueError with the file and up to 20 faults, each with its row number.

    `check`: "none" reads rows only, "files" wants every file to be there, "frames" also decodes
    the videos and counts, "hashes" also compares hashes, "all" does all of it.
    """
    found = sift_manifest(path, check=check)
    if found.skipped:
        raise ValueError(_message(path, found.skipped))
    return found.clips


def sift_manifest(path: Path, *, check: Check = "files") -> Sifted:
    """The good rows and the reasons for the others; ValueError only when there is no manifest."""
    clips: list[Clip] = []
    skipped: list[str] = []
    seen = _Seen()
    for number, line in enumerate(_lines(path), start=1):
        if not line.strip():
            continue
        clip, faults = _row(line)
        if clip is not None:
            faults += path_faults(path.parent, clip) or file_faults(path.parent, clip, check)
            faults += seen.faults(number, clip)
        if clip is not None and not faults:
            seen.take(number, clip)
            clips.append(clip)
        skipped += [f"row {number}: {fault}" for fault in faults]
    return Sifted(tuple(clips), tuple(skipped))


def write_manifest(path: Path, clips: Iterable[Clip]) -> None:
    """Replace the manifest by these rows, at once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        for clip in clips:
            file.write(json.dumps(asdict(clip), ensure_ascii=False) + "\n")
    part.replace(path)


def append_clip(path: Path, clip: Clip) -> None:
    """One more row, at once: a reader sees the manifest with it or without it."""
    before = read_manifest(path, check="none") if path.exists() else ()
    write_manifest(path, (*before, clip))


class _Seen:
    """Which row was the first with an id, and with a seed in each split."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._seeds: dict[tuple[str, int], int] = {}

    def faults(self, number: int, clip: Clip) -> list[str]:
        found = []
        if clip.id in self._ids:
            found.append(f"id {clip.id!r} is that of row {self._ids[clip.id]} too")
        other = "train" if clip.split == "held_out" else "held_out"
        if clip.seed is not None and (other, clip.seed) in self._seeds:
            row = self._seeds[other, clip.seed]
            found.append(f"{clip.split} seed {clip.seed} is also that of {other} row {row}")
        return found

    def take(self, number: int, clip: Clip) -> None:
        self._ids[clip.id] = number
        if clip.seed is not None:
            self._seeds.setdefault((clip.split, clip.seed), number)


def _lines(path: Path) -> list[str]:
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ValueError(f"cannot read the manifest {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ValueError(f"the manifest {path} is not UTF-8 text ({error})") from error
    return text.split("\n")


def _row(line: str) -> tuple[Clip | None, list[str]]:
    """The clip of a line, or what is wrong with it."""
    try:
        clip: Clip = _ROW.validate_json(line)
    except ValidationError as error:
        return None, [_fault(fault) for fault in error.errors()]
    return clip, []


def _fault(fault: Any) -> str:
    """One of pydantic's faults as a sentence that names the key."""
    key = ".".join(map(str, fault["loc"])) or "row"
    if fault["type"] == "json_invalid":
        return f"broken JSON ({fault['ctx']['error']})"
    if fault["type"] == "missing":
        return f"key {key!r} is missing"
    if fault["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"key {key!r} is unknown"
    return f"{key}: {fault['msg'].lower()} (got {str(fault['input'])[:60]!r})"


def _message(path: Path, faults: tuple[str, ...]) -> str:
    rows = len({fault.partition(":")[0] for fault in faults})
    lines = [f"  {fault}" for fault in faults[:MOST_ERRORS]]
    if len(faults) > MOST_ERRORS:
        lines.append(f"  and {len(faults) - MOST_ERRORS} more")
    return "\n".join([f"{path}: {rows} of its rows cannot be used", *lines])
