"""Clips written to disk: H.264 in MP4 (PyAV), and single images."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace
from PIL import Image as Pillow

from c2r.clips.fit import Image

_BT709 = 1
_LIMITED = 1


class VideoWriter:
    """Writes `path` at `fps`; the first frame sets the size, and odd sides are padded by one.

    The file appears under its name when it is closed; an error inside the block leaves an earlier
    file unchanged. `crf` is x264's quality, lower is better. `repeatable`: equal frames give equal
    files, at some cost in speed and size. `OSError` when the file cannot be made, `ValueError` for
    a frame of another size than the first.
    """

    def __init__(self, path: Path, fps: float, *, crf: int = 18, repeatable: bool = False) -> None:
        if not fps > 0:
            raise ValueError(f"fps is {fps}; give a positive number of frames a second")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._partial = path.with_name(f".{path.name}.partial")
        self._rate = Fraction(fps).limit_denominator(1001)
        self._crf, self._repeatable = crf, repeatable
        self._container: Any = av.open(str(self._partial), "w", format="mp4")
        self._stream: Any = None
        self._shape: tuple[int, ...] = ()
        self._last = -1

    def write(self, rgb: Image, position: int | None = None) -> None:
        """Write `[height, width, 3]` as frame `position`, by default the next one.

        Where positions are skipped, the frame before them stays.
        """
        if self._stream is None:
            self._begin(rgb)
        if rgb.shape != self._shape:
            have, want = "x".join(map(str, rgb.shape)), "x".join(map(str, self._shape))
            raise ValueError(f"{self.path} has frames of {want}; this one is {have}")
        self._last = self._last + 1 if position is None else position
        self._encode(rgb, self._last)

    def close(self, *, keep: bool = True) -> None:
        """Finish the file, or with `keep` off discard it; closing twice is no error."""
        container, self._container = self._container, None
        if container is None:
            return
        try:
            with container:
                if keep and self._stream is not None:
                    container.mux(self._stream.encode())
            if keep and self._stream is not None:
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(keep=kind is None)

    def _begin(self, rgb: Image) -> None:
        if rgb.ndim != 3 or rgb.shape[2] != 3:
            raise ValueError(f"{self.path} takes frames [height, width, 3], not {rgb.shape}")
        self._shape = rgb.shape
        height, width = rgb.shape[:2]
        stream = self._container.add_stream("libx264", rate=self._rate)
        stream.width, stream.height = width + width % 2, height + height % 2
        stream.pix_fmt = "yuv420p"
        stream.options = {"crf": str(self._crf), "preset": "veryfast"}
        context = stream.codec_context
        if self._repeatable:
            # x264's file depends on the number of threads. With its macroblock tree on, frames
            # whose height is no multiple of 16 now and then give other files from run to run.
            context.thread_count = 1
            stream.options = {**stream.options, "x264-params": "mbtree=0"}
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


def write_image(path: Path, rgb: Image) -> None:
    """Write one frame as an image file, by its suffix; makes the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Pillow.fromarray(np.ascontiguousarray(rgb)).save(path)
