"""The video files of a run, each under a name that does not depend on the machine, and the captions
that people wrote for them.

Captions are `NAME.txt` beside `NAME.mp4`, or `captions.jsonl` in a folder given, one line
`{"file": "path below the folder", "caption": "..."}` a video. The text beside the video comes
first.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KINDS = "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())
"""Files of a folder that are taken for videos; a file named as such is always taken for one."""
LISTED = "captions.jsonl"
"""The file of captions for a whole folder."""
_KEYS = ("file", "caption")


@dataclass(frozen=True)
class Source:
    """A file to curate. `name` is its path below `root`, with forward slashes."""

    root: Path
    path: Path
    name: str


def find_sources(places: Sequence[Path], leave_out: Path) -> list[Source]:
    """Videos in folders, at any depth, and files named as such, in the order of their names.

    What lies below `leave_out` (the output) or is hidden is passed over. ValueError when a place
    is missing, nothing is found, or two files would have one name.
    """
    sources: dict[Path, Source] = {}
    for place in places:
        if not place.exists():
            raise ValueError(f"there is no {place}; give folders or files of video")
        for source in _below(place, leave_out.resolve()):
            sources.setdefault(source.path, source)
    if not sources:
        known = " ".join(sorted(SUFFIXES))
        raise ValueError(f"no videos in {', '.join(map(str, places))} (looked for {known})")
    by_name: dict[str, Source] = {}
    for source in sorted(sources.values(), key=lambda one: (one.name, str(one.path))):
        other = by_name.setdefault(source.name, source)
        if other is not source:
            raise ValueError(
                f"{other.path} and {source.path} would both be called {source.name}; "
                "give the folder above both instead"
            )
    return list(by_name.values())


def _below(place: Path, leave_out: Path) -> Iterator[Source]:
    place = place.resolve()
    if place.is_file():
        yield Source(place.parent, place, place.name)
        return
    for folder, folders, files in os.walk(place):
        here = Path(folder)
        folders[:] = [name for name in folders if _wanted(here / name, leave_out)]
        for name in files:
            path = here / name
            if path.suffix.lower() in SUFFIXES and not name.startswith("."):
                yield Source(place, path, path.relative_to(place).as_posix())


def _wanted(folder: Path, leave_out: Path) -> bool:
    return not folder.name.startswith(".") and folder.resolve() != leave_out


def written_captions(sources: Sequence[Source]) -> dict[str, str]:
    """Captions by the source's name, for those that have one; runs of white space become one space.

    ValueError names the file, and the row, of a caption that cannot be read.
    """
    listed = {root: _listed(root / LISTED) for root in {source.root for source in sources}}
    captions = {}
    for source in sources:
        text = _beside(source.path) or listed[source.root].get(source.name, "")
        if text.strip():
            captions[source.name] = " ".join(text.split())
    return captions


def _beside(video: Path) -> str:
    path = video.with_suffix(".txt")
    return _text(path) if path.is_file() else ""


def _listed(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    captions = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.strip():
            row = _row(line, f"{path} row {number}")
            captions[row["file"]] = row["caption"]
    return captions


def _row(line: str, place: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place} is broken JSON ({error})") from error
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in _KEYS):
        raise ValueError(f'{place} must be {{"file": "...", "caption": "..."}}')
    return row


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8") from error
