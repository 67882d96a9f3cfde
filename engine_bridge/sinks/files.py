"""Files: an H.264 video in MP4, or a folder of PNG images."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from c2r.clips.write import VideoWriter
from c2r.wire.formats import Image


class VideoSink(AbstractContextManager["VideoSink"]):
    """Writes `path` at `fps`, timed by frame ids: for a missing id the frame before it stays.

    See `VideoWriter` for sizes and errors. ValueError for ids that do not go up.
    """

    def __init__(self, path: Path, fps: float, *, crf: int = 18) -> None:
        self._writer = VideoWriter(path, fps, crf=crf)
        self._first_id: int | None = None
        self._last_id = -1

    def write(self, rgb: Image, frame_id: int) -> None:
        if self._first_id is None:
            self._first_id = frame_id
        elif frame_id <= self._last_id:
            raise ValueError(f"frame id {frame_id} does not go up; give frames in their order")
        self._writer.write(rgb, frame_id - self._first_id)
        self._last_id = frame_id

    def close(self) -> None:
        """Finish the file; closing twice is no error."""
        self._writer.close()

    def __exit__(self, *_: object) -> None:
        self.close()


class ImageFolderSink(AbstractContextManager["ImageFolderSink"]):
    """Writes `folder/frame_000012.png`; creates the folder. OSError when it cannot be written."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder

    def write(self, rgb: Image, frame_id: int) -> None:
        image = Pillow.fromarray(np.ascontiguousarray(rgb))
        image.save(self.folder / f"frame_{frame_id:06d}.png", compress_level=3)

    def close(self) -> None:
        """Nothing to do: each file is complete when it is written."""

    def __exit__(self, *_: object) -> None:
        self.close()
