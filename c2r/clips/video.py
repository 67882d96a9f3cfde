"""A video file as a clip: resampled to the wanted rate by timestamps, scaled to cover."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace, Interpolation, VideoReformatter

from c2r.clips.fit import Image, check_rate, check_shape, cover

_UNSAID = 2
"""Colour space "unspecified" (ITU-T H.273)."""
_HD_HEIGHT = 720
"""Unspecified means BT.709 from this height on, BT.601 below."""
_ADVICE = "convert it, for example: ffmpeg -i FILE -c:v libx264 -pix_fmt yuv420p fixed.mp4"


class VideoClip:
    """The first video track of `path`. Each output frame is the one nearest to it in time.

    Frames `[height, width, 3]` are scaled to cover and cropped; rotation flags are honoured. The
    first `start` frames are skipped without being scaled. `ValueError`, naming the file, when it is
    missing, has no video or is damaged.
    """

    def __init__(self, path: Path, width: int, height: int, fps: float, start: int = 0) -> None:
        check_shape(width, height)
        check_rate(fps)
        self.path, self.width, self.height, self.fps = path, width, height, fps
        self.start = start
        if not path.is_file():
            raise ValueError(f"{path} is no file; give a video file")
        with self._open() as container:
            if not container.streams.video:
                raise ValueError(f"{path} has no video track; give a file with one")

    def __iter__(self) -> Iterator[Image]:
        return self._resampled()

    def _open(self) -> av.container.InputContainer:
        try:
            return av.open(str(self.path))
        except av.FFmpegError as error:
            raise ValueError(f"{self.path} is no video ({error}); {_ADVICE}") from error

    def _resampled(self) -> Iterator[Image]:
        """Every decoded frame, once for each output time that it is the nearest to."""
        index, scaler = 0, VideoReformatter()  # one for all frames: its tables take long to build
        for frame, until in self._spans():
            image = None
            while index / self.fps < until:
                index += 1
                if index <= self.start:
                    continue
                if image is None:
                    image = self._fit(frame, scaler)
                # A frame that is shown twice must not share an array: the client keeps them.
                yield image.copy()

    def _spans(self) -> Iterator[tuple[av.VideoFrame, float]]:
        """Frames, each with the second until which it is the nearest; the first starts at 0."""
        previous: tuple[av.VideoFrame, float] | None = None
        start, step = 0.0, 1 / self.fps
        for frame, time in self._timed():
            if previous is None:
                start = time
            elif time - start > previous[1]:
                step = time - start - previous[1]
                yield previous[0], previous[1] + step / 2
            else:
                continue  # timestamps that do not increase are dropped
            previous = frame, time - start
        if previous is None:
            raise ValueError(f"{self.path} holds no frames; {_ADVICE}")
        yield previous[0], previous[1] + step

    def _timed(self) -> Iterator[tuple[av.VideoFrame, float]]:
        with self._open() as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            rate, last = float(stream.average_rate or self.fps), 0.0
            frames = container.decode(stream)
            while True:
                try:
                    frame = next(frames, None)
                except av.FFmpegError as error:
                    raise ValueError(
                        f"{self.path} is damaged after {last:.2f} s ({error}); {_ADVICE}"
                    ) from error
                if frame is None:
                    return
                last = frame.time if frame.time is not None else last + 1 / rate
                yield frame, last

    def _fit(self, frame: av.VideoFrame, scaler: VideoReformatter) -> Image:
        turns = round(frame.rotation / 90) % 4
        want = (self.height, self.width) if turns % 2 else (self.width, self.height)
        left, top, width, height = cover((frame.width, frame.height), want)
        # Scaled whole, then cropped: the box as it is after scaling.
        scale = want[0] / width, want[1] / height
        whole = round(frame.width * scale[0]), round(frame.height * scale[1])
        scaled = scaler.reformat(
            frame,
            width=max(want[0], whole[0]),
            height=max(want[1], whole[1]),
            format="rgb24",
            src_colorspace=_colour_space(frame),
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.AREA,
        )
        image: Image = np.asarray(scaled.to_ndarray(), np.uint8)
        x, y = round(left * scale[0]), round(top * scale[1])
        x, y = min(x, image.shape[1] - want[0]), min(y, image.shape[0] - want[1])
        cropped = image[y : y + want[1], x : x + want[0]]
        return np.ascontiguousarray(np.rot90(cropped, turns))


def _colour_space(frame: av.VideoFrame) -> int:
    if frame.colorspace != _UNSAID:
        return int(frame.colorspace)
    return int(Colorspace.ITU709 if frame.height >= _HD_HEIGHT else Colorspace.ITU601)
