"""What is in a video file, by decoding it: frames, size, rate."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import av


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
