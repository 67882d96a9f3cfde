"""An H.264 video file in MP4 (PyAV)."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from c2r.wire.formats import Image

_BT709 = 1
_LIMITED = 1


class VideoSink:
    """Writes `path` at `fps`; the first picture sets the size, and odd sides are padded by one.

    Frame ids are the time line: where one is missing, the picture before it stays. `crf` is x264's
    quality, lower is better. OSError when the file cannot be made, ValueError for a picture of
    another size than the first.
    """

    def __init__(self, path: Path, fps: float, *, crf: int = 18) -> None:
        if not fps > 0:
            raise ValueError(f"fps is {fps}; give a positive number of frames a second")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._rate = Fraction(fps).limit_denominator(1001)
        self._crf = crf
        self._container: Any = av.open(str(path), "w")
        self._stream: Any = None
        self._shape: tuple[int, ...] = ()
        self._first_id = 0
        self._last = -1

    def write(self, rgb: Image, frame_id: int) -> None:
        """The next picture; ids go up."""
        if self._stream is None:
            self._begin(rgb, frame_id)
        if rgb.shape != self._shape:
            have, want = "x".join(map(str, rgb.shape)), "x".join(map(str, self._shape))
            raise ValueError(f"{self.path} has pictures of {want}; this one is {have}")
        position = frame_id - self._first_id
        if position <= self._last:
            raise ValueError(f"frame id {frame_id} does not go up; give frames in their order")
        self._last = position
        self._encode(rgb, position)

    def close(self) -> None:
        """Finish the file."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            if self._stream is not None:
                container.mux(self._stream.encode())
        finally:
            container.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self, rgb: Image, frame_id: int) -> None:
        self._shape, self._first_id = rgb.shape, frame_id
        height, width = rgb.shape[:2]
        stream = self._container.add_stream("libx264", rate=self._rate)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(self._crf), "preset": "veryfast"}
        context = stream.codec_context
        context.time_base = 1 / self._rate
        context.color_range = _LIMITED
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._stream = stream

    def _encode(self, rgb: Image, position: int) -> None:
        height, width = rgb.shape[:2]
        even = np.pad(rgb, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts, frame.time_base = position, 1 / self._rate
        self._container.mux(self._stream.encode(frame))
