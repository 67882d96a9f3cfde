"""The video files of a run, each under a name that does not depend on the machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_KINDS = "3gp avi flv m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts vob webm wmv"
SUFFIXES = frozenset(f".{kind}" for kind in _KINDS.split())
"""Files of a folder that are taken for videos; a file named as such is always taken for one."""


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
    found: dict[Path, Source] = {}
    for place in places:
        if not place.exists():
            raise ValueError(f"there is no {place}; give folders or files of video")
        for source in _below(place, leave_out.resolve()):
            found.setdefault(source.path, source)
    if not found:
        known = " ".join(sorted(SUFFIXES))
        raise ValueError(f"no videos in {', '.join(map(str, places))} (looked for {known})")
    by_name: dict[str, Source] = {}
    for source in sorted(found.values(), key=lambda one: (one.name, str(one.path))):
        twin = by_name.setdefault(source.name, source)
        if twin is not source:
            raise ValueError(
                f"{twin.path} and {source.path} would both be called {source.name}; "
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
