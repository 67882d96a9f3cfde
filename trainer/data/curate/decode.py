"""A video file as frames with their times. A file that cannot be read says why and is never fatal.

One decoder thread: files are decoded in parallel already, and with one thread an error comes at the
same frame each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

_HDR = {16: "PQ", 18: "HLG"}
"""Transfer characteristics (ITU-T H.273) that need tone mapping."""
_LOST = 0.02
"""A file that holds this share of frames fewer than its index says was cut short."""
_LOST_S = 1.0
"""The same in seconds, where there is no index."""


class Unreadable(ValueError):
    """A file that gives no frame. `reason` is one of the names in the report."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True)
class DecodedFrame:
    """A decoded frame and when it is shown, in seconds from the first.

    `aspect` is the width of one of its pixels over its height, as anamorphic footage has it.
    """

    frame: av.VideoFrame
    seconds: float
    aspect: float

    def pixels(self, layout: str, **options: Any) -> NDArray[np.uint8]:
        """The frame as `[h, w, 3]`, "rgb24" or "bgr24"; `options` are those of `to_ndarray`."""
        try:
            pixels: NDArray[np.uint8] = self.frame.to_ndarray(format=layout, **options)
        except (av.FFmpegError, ValueError) as error:
            kind = f"pixels of kind {self.frame.format.name} cannot be converted"
            raise Unreadable("unreadable", kind) from error
        return pixels


class VideoFile:
    """The first video track of a file; iterate it once, then see whether it was `damaged`.

    Frames come in the order of their times. At the first fault the iteration ends, and `damaged`
    says what was wrong: what came before is good. `Unreadable` where there is no frame at all.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.damaged: str | None = None
        self.seconds = 0.0

    def __iter__(self) -> Iterator[DecodedFrame]:
        # Titles in an unknown encoding are no reason to refuse the frames.
        try:
            container = av.open(str(self.path), metadata_errors="replace")
        except (av.FFmpegError, OSError) as error:
            raise Unreadable("unreadable", _words(error)) from error
        with container:
            stream = _video_track(container)
            yield from self._timed(container, stream)

    def _timed(self, container: Any, stream: Any) -> Iterator[DecodedFrame]:
        count, start, rate = 0, 0.0, float(stream.average_rate or 25)
        aspect = float(stream.sample_aspect_ratio or 1)
        for frame in self._frames(container, stream):
            time = frame.time if frame.time is not None else start + self.seconds + 1 / rate
            start = time if count == 0 else start
            count += 1
            if count > 1 and time - start <= self.seconds:
                continue  # a timestamp that does not increase is not one
            self.seconds = time - start
            yield DecodedFrame(frame, self.seconds, aspect)
        if count == 0:
            raise Unreadable("unreadable", self.damaged or "it holds no frame")
        if self.damaged is None:
            self.damaged = self._cut_short(container, stream, count)

    def _frames(self, container: Any, stream: Any) -> Iterator[av.VideoFrame]:
        frames = container.decode(stream)
        while True:
            try:
                frame = next(frames, None)
            except (av.FFmpegError, OSError) as error:
                self.damaged = _words(error)
                return
            if frame is None:
                return
            if frame.is_corrupt:
                self.damaged = "a frame is corrupt"
                return
            if frame.color_trc in _HDR:
                kind = _HDR[frame.color_trc]
                raise Unreadable("hdr", f"{kind} footage must be tone-mapped to SDR first")
            yield frame

    def _cut_short(self, container: Any, stream: Any, count: int) -> str | None:
        """Where the file ends without an error but before its own index or header says."""
        if stream.frames:
            short = count < stream.frames * (1 - _LOST) - 1
            return f"{count} of {stream.frames} frames are there" if short else None
        length = (container.duration or 0) / av.time_base
        if length - self.seconds > _LOST_S:
            return f"{self.seconds:.1f} of {length:.1f} s are there"
        return None


def _video_track(container: Any) -> Any:
    tracks = container.streams.video
    # The cover of an album is a video track to FFmpeg.
    tracks = [one for one in tracks if not one.disposition & av.stream.Disposition.attached_pic]
    if not tracks:
        what = "audio only" if container.streams.audio else "there is no video track"
        raise Unreadable("no video", what)
    if tracks[0].codec_context is None:
        raise Unreadable("unreadable", "this build of FFmpeg has no decoder for it")
    tracks[0].codec_context.thread_count = 1
    return tracks[0]


def _words(error: Exception) -> str:
    """FFmpeg's own words, without the number and the path: the report names the file."""
    return str(getattr(error, "strerror", None) or error)
