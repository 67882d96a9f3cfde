"""Clips on disk as RGB frames: video files and folders of images, read and written.

Imports no torch. Legend: frames are uint8 `[height, width, 3]`, row 0 at the top. Reading resamples
by timestamps (the frame shown at each instant) and scales to cover the wanted size, cropping what
sticks out: nothing is stretched.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

Frame = NDArray[np.uint8]
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")


def read_clip(path: Path, *, width: int, height: int, fps: float) -> Iterator[Frame]:
    """Frames of a video file at `fps`, or of a folder of images (one frame each, natural order).

    `ValueError` when there is nothing to read, with the file's name and the reason.
    """
    if path.is_dir():
        yield from read_images(path, width=width, height=height)
    elif path.is_file():
        yield from read_video(path, width=width, height=height, fps=fps)
    else:
        raise ValueError(f"there is no clip {path}; give a video file or a folder of images")


def fit(image: Image.Image, width: int, height: int) -> Frame:
    """Scale to cover `width` x `height` and crop the middle."""
    rgb = image.convert("RGB")
    if rgb.size != (width, height):
        rgb = ImageOps.fit(rgb, (width, height), Image.Resampling.BICUBIC)
    return np.asarray(rgb)


def natural_key(path: Path) -> list[tuple[int, str]]:
    """Sorts frame2 before frame10."""
    parts = re.split(r"(\d+)", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def read_images(folder: Path, *, width: int, height: int) -> Iterator[Frame]:
    """The images of a folder as frames, in natural order of their names."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise ValueError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    for file in sorted(files, key=natural_key):
        try:
            with Image.open(file) as image:
                yield fit(image, width, height)
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(
                f"cannot read the image {file}: {error}; remove or replace it"
            ) from error


def read_video(path: Path, *, width: int, height: int, fps: float) -> Iterator[Frame]:
    """The frames of a video file that are shown at 0, 1/fps, 2/fps ... seconds."""
    if fps <= 0:
        raise ValueError(f"fps is {fps}; it must be above 0")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path} has no video stream")
            yield from _resampled(container, width, height, fps)
    except av.FFmpegError as error:
        raise ValueError(
            f"cannot read the video {path}: {error.strerror or error}; check that it plays, or "
            "convert it to H.264 in mp4"
        ) from error


def _resampled(
    container: av.container.InputContainer, width: int, height: int, fps: float
) -> Iterator[Frame]:
    """Each decoded frame, as often as instants fall between it and the next one."""
    shown: Frame | None = None
    start, due, seconds, step = 0.0, 0, 0.0, 1 / fps
    for decoded in container.decode(video=0):
        seconds = decoded.time if decoded.time is not None else seconds + step
        if shown is None:
            start = seconds
        else:
            while due * step < seconds - start - step * 1e-3:
                yield shown
                due += 1
        shown = fit(decoded.to_image(), width, height)
    if shown is None:
        raise ValueError(f"{container.name} holds no frames")
    yield shown


class VideoWriter:
    """Writes frames of one size as H.264 in mp4. Sides must be even. A context manager.

    The file appears under its name when the block is left whole; an error leaves what was there.
    """

    def __init__(self, path: Path, *, width: int, height: int, fps: float, crf: int = 18) -> None:
        if width % 2 or height % 2:
            raise ValueError(f"a video of {width}x{height} cannot be written: sides must be even")
        self.path, self._shape = path, (height, width, 3)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._partial = path.with_name(f".{path.name}.partial")
        self._container = av.open(str(self._partial), "w", format="mp4")
        self._stream = self._container.add_stream(
            "libx264", rate=round(fps), options={"crf": str(crf)}
        )
        self._stream.width, self._stream.height = width, height
        self._stream.pix_fmt = "yuv420p"

    def write(self, frame: Frame) -> None:
        """Add one frame `[height, width, 3]`."""
        if frame.shape != self._shape:
            raise ValueError(f"{self.path} takes frames {self._shape}; this one is {frame.shape}")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")
        self._container.mux(self._stream.encode(picture))

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            with self._container as container:
                if kind is None:
                    container.mux(self._stream.encode())
            if kind is None:
                self._partial.replace(self.path)
        finally:
            self._partial.unlink(missing_ok=True)


def write_image(path: Path, frame: Frame) -> None:
    """One frame as an image file, by its suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(frame).save(path)
