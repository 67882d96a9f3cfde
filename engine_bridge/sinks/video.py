"""An H.264 video file in MP4, its time line that of frame ids."""

from __future__ import annotations

from pathlib import Path

from c2r.clips.write import VideoWriter
from c2r.wire.formats import Image
from engine_bridge.client.closing import Closing


class VideoSink(Closing):
    """Writes `path` at `fps`; where a frame id is missing, the picture before it stays.

    See `VideoWriter` for sizes and errors. ValueError for ids that do not go up.
    """

    def __init__(self, path: Path, fps: float, *, crf: int = 18) -> None:
        self._writer = VideoWriter(path, fps, crf=crf)
        self._first_id: int | None = None
        self._last_id = -1

    def write(self, rgb: Image, frame_id: int) -> None:
        """The next picture; ids go up."""
        if self._first_id is None:
            self._first_id = frame_id
        elif frame_id <= self._last_id:
            raise ValueError(f"frame id {frame_id} does not go up; give frames in their order")
        self._writer.write(rgb, frame_id - self._first_id)
        self._last_id = frame_id

    def close(self) -> None:
        """Finish the file; closing twice is no error."""
        self._writer.close()
