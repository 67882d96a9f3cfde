"""Captions written by people: `NAME.txt` beside `NAME.mp4`, or `captions.jsonl` in a folder given.

A line of `captions.jsonl` is `{"file": "path below the folder", "caption": "..."}`. The text beside
the video comes first.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainer.data.curate.find import Source

LISTED = "captions.jsonl"
"""The file of captions for a whole folder."""


def written_captions(sources: Sequence[Source]) -> dict[str, str]:
    """Captions by the source's name, for those that have one; white space is made single.

    ValueError names the file, and the row, of a caption that cannot be read.
    """
    listed = {root: _listed(root / LISTED) for root in {source.root for source in sources}}
    found = {}
    for source in sources:
        text = _beside(source.path) or listed[source.root].get(source.name, "")
        if text.strip():
            found[source.name] = " ".join(text.split())
    return found


def _beside(video: Path) -> str:
    path = video.with_suffix(".txt")
    return _text(path) if path.is_file() else ""


def _listed(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = {}
    for number, line in enumerate(_text(path).splitlines(), 1):
        if line.strip():
            row = _row(line, f"{path} row {number}")
            found[row["file"]] = row["caption"]
    return found


def _row(line: str, place: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{place} is broken JSON ({error})") from error
    if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in _KEYS):
        raise ValueError(f'{place} must be {{"file": "...", "caption": "..."}}')
    return row


_KEYS = ("file", "caption")


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text; save it as UTF-8") from error
