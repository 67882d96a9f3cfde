"""What may be wrong with a row of a manifest that is well-formed: numbers, paths, files.

Every check gives a list of sentences, empty when all is well. `probe` and `file_hash` say what a
video file is.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

import av

if TYPE_CHECKING:
    from trainer.data.manifest import Clip

MOST_CAPTION = 2000
"""Characters of the longest caption: four times what the text encoder's 512 tokens hold."""
Check = Literal["none", "files", "frames", "hashes", "all"]
RATE_SLACK = 0.01
"""Share by which a video's stated rate may miss its row's."""
_HASH = re.compile(r"[0-9a-f]{64}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True)
class Probe:
    """Decoded frames, their size in pixels, and the stated frames a second."""

    frames: int
    width: int
    height: int
    fps: float


def probe(path: Path) -> Probe:
    """Decodes the whole file. ValueError, naming it, when it is no video or is damaged."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path.name} has no video track")
            stream = container.streams.video[0]
            frames = sum(1 for _ in container.decode(stream))
            rate = float(stream.average_rate or 0.0)
            return Probe(frames, stream.width, stream.height, rate)
    except av.FFmpegError as error:
        raise ValueError(f"{path.name} cannot be decoded ({error})") from error


def file_hash(path: Path) -> str:
    """SHA-256 of a file, as hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_faults(root: Path, clip: Clip) -> list[str]:
    """Numbers out of range, hashes that are none, and paths that lead out of `root`."""
    found = []
    if not (math.isfinite(clip.fps) and clip.fps > 0):
        found.append(f"fps is {clip.fps}; it must be a positive number")
    counts = {"frames": clip.frames, "width": clip.width, "height": clip.height}
    found += [f"{name} is {n}; it must be 1 or more" for name, n in counts.items() if n < 1]
    longest = max(len(caption) for caption in clip.captions)
    if longest > MOST_CAPTION:
        found.append(f"the caption has {longest:,} characters; at most {MOST_CAPTION:,} are read")
    if not _ID.fullmatch(clip.id):
        # Caches and reports name files by it.
        found.append(
            f"the id {clip.id[:60]!r} cannot name a file: give up to 128 letters, digits, dots, "
            "dashes and underscores, the first one a letter or digit"
        )
    found += _origin_faults(clip)
    if clip.seed is not None and clip.seed < 0:
        found.append(f"seed is {clip.seed}; it must be 0 or more, or null")
    found += _hash_faults(clip)
    for name, path in _paths(clip):
        fault = _path_fault(root, path)
        if fault:
            found.append(f"{name} {path!r} {fault}")
    return found


def file_faults(root: Path, clip: Clip, check: Check) -> list[str]:
    """Files of a row with sound paths that are missing or not what the row says."""
    if check == "none":
        return []
    missing = [
        f"{name} {path!r} is not there"
        for name, path in _paths(clip)
        if not (root / path).is_file()
    ]
    if missing:
        return missing
    videos = [("video", clip.video, clip.hash)]
    if clip.control is not None:
        videos.append(("control", clip.control, clip.control_hash or ""))
    found = []
    for name, path, digest in videos:
        if check in ("frames", "all"):
            found += [f"{name} {path!r} {fault}" for fault in _video_faults(root / path, clip)]
        if check in ("hashes", "all") and file_hash(root / path) != digest:
            found.append(f"{name} {path!r} is not the file it was: its hash differs")
    return found


def _paths(clip: Clip) -> list[tuple[str, str]]:
    named = (("video", clip.video), ("control", clip.control), ("geometry", clip.geometry))
    return [(name, path) for name, path in named if path is not None]


def _origin_faults(clip: Clip) -> list[str]:
    """A scene without its seed could be in both splits; footage without terms must not be used."""
    if clip.source == "cg" and clip.seed is None:
        return ["seed is null; a cg clip has its scene's"]
    if clip.source == "real" and not (clip.licence or "").strip():
        return ["licence is missing; a real clip has the terms that its footage is used under"]
    return []


def _hash_faults(clip: Clip) -> list[str]:
    found = []
    if not _HASH.fullmatch(clip.hash):
        found.append("hash is no SHA-256 in 64 small hexadecimal digits")
    if (clip.control is None) != (clip.control_hash is None):
        found.append("control and control_hash go together: give both or null for both")
    elif clip.control_hash is not None and not _HASH.fullmatch(clip.control_hash):
        found.append("control_hash is no SHA-256 in 64 small hexadecimal digits")
    return found


def _path_fault(root: Path, path: str) -> str | None:
    if not path or "\0" in path:
        return "names no file"
    if "\\" in path or re.match(r"[A-Za-z]:", path):
        return "is a Windows path; write it relative, with forward slashes"
    pure = PurePosixPath(path)
    if pure.is_absolute():
        return "is absolute; write it relative to the manifest"
    if ".." in pure.parts:
        return "leaves the manifest's folder"
    if not (root / path).resolve().is_relative_to(root.resolve()):
        return "leads out of the manifest's folder through a link"
    return None


def _video_faults(path: Path, clip: Clip) -> list[str]:
    try:
        found = probe(path)
    except (ValueError, OSError) as error:
        return [f"cannot be used: {error}"]
    faults = []
    if found.frames != clip.frames:
        faults.append(f"has {found.frames} frames, not {clip.frames}")
    # Odd sides are padded by one pixel when a video is written.
    even = clip.width + clip.width % 2, clip.height + clip.height % 2
    if (found.width, found.height) not in (even, (clip.width, clip.height)):
        faults.append(f"is {found.width}x{found.height} pixels, not {clip.width}x{clip.height}")
    if found.fps and abs(found.fps - clip.fps) > RATE_SLACK * clip.fps:
        faults.append(f"runs at {found.fps:g} frames a second, not {clip.fps:g}")
    return faults
