"""Clips on disk as frames `[height, width, 3]` uint8, row 0 at the top. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from c2r.clips.fit import Image
from c2r.clips.images import ImageClip
from c2r.clips.video import VideoClip
from c2r.clips.write import VideoWriter, write_image

__all__ = ["Image", "ImageClip", "VideoClip", "VideoWriter", "read_clip", "write_image"]


def read_clip(path: Path, *, width: int, height: int, fps: float) -> Iterator[Image]:
    """The frames of a video file at `fps`, or of a folder of images.

    Frames are scaled to cover the size and cropped, not stretched. `ValueError`, with the file and
    the reason, when there is nothing to read.
    """
    if path.is_dir():
        return iter(ImageClip(path, width, height))
    if not path.is_file():
        raise ValueError(f"there is no clip {path}; give a video file or a folder of images")
    return iter(VideoClip(path, width, height, fps))
