"""Reading videos to measure: whole, and never resized or cut silently.

F frames, H W pixel rows and columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import av
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from c2r.clips import read_clip

Frames = NDArray[np.uint8]
"""RGB frames `[F, H, W, 3]`, row 0 at the top, 8-bit sRGB."""

Plane = NDArray[np.float32]

LUMA = (0.2126, 0.7152, 0.0722)
"""Weights of R, G and B in luma (ITU-R BT.709)."""


@dataclass(frozen=True)
class Expected:
    """What a video must be. `exact`: no more frames than these; else the rest is not read."""

    frames: int
    width: int
    height: int
    fps: float
    exact: bool = True


def read_video(path: Path, expected: Expected) -> Frames:
    """All frames of a video `[F, H, W, 3]`.

    `ValueError` for a file that is missing, damaged, of another size or with another number of
    frames; it says which.
    """
    if not path.is_file():
        raise ValueError(f"there is no video {path}; render it, or leave its clip out")
    width, height = expected.width, expected.height
    coded = width + width % 2, height + height % 2  # H.264 pads odd sides by one
    size = video_size(path)
    if size not in {(width, height), coded}:
        raise ValueError(
            f"{path} is {size[0]}x{size[1]}, wanted {width}x{height}; render it at that size"
        )
    read = read_clip(path, width=size[0], height=size[1], fps=expected.fps)
    frames = list(islice(read, expected.frames + 1))
    _check_count(path, len(frames), expected)
    return np.stack(frames[: expected.frames])[:, :height, :width]


def _check_count(path: Path, count: int, expected: Expected) -> None:
    wanted = expected.frames
    if count < wanted:
        raise ValueError(
            f"{path} has {count} frames at {expected.fps:g} fps, wanted {wanted}; "
            f"render the whole clip, or compare fewer with --frames {count}"
        )
    if count > wanted and expected.exact:
        raise ValueError(
            f"{path} has more than the {wanted} frames that its clip has at {expected.fps:g} fps; "
            "it is another clip's, or was written at another rate"
        )


def video_size(path: Path) -> tuple[int, int]:
    """(width, height) of a video's frames; `ValueError` when it is none."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path} has no video track")
            stream = container.streams.video[0]
            return int(stream.width), int(stream.height)
    except av.FFmpegError as error:
        raise ValueError(f"{path} is no video ({error}); render it again") from error


def video_rate(path: Path) -> float:
    """Frames per second of a video; `ValueError` when it is none or does not say."""
    try:
        with av.open(str(path)) as container:
            if not container.streams.video or not container.streams.video[0].average_rate:
                raise ValueError(f"{path} has no video track with a frame rate")
            return float(container.streams.video[0].average_rate)
    except av.FFmpegError as error:
        raise ValueError(f"{path} is no video ({error}); render it again") from error


def luma(frames: Frames) -> Plane:
    """Luma `[..., H, W]` in [0, 1] of frames `[..., H, W, 3]`, gamma as it is."""
    weights = np.array(LUMA, np.float32) / 255
    return (frames.astype(np.float32) @ weights).astype(np.float32, copy=False)


def as_tensor(frames: Frames) -> Tensor:
    """Frames `[F, H, W, 3]` as uint8 `[F, 3, H, W]`."""
    return torch.from_numpy(np.ascontiguousarray(frames)).permute(0, 3, 1, 2).contiguous()


def even_places(count: int, wanted: int) -> list[int]:
    """At most `wanted` different places from first to last of `count`, evenly spread."""
    return sorted({int(place) for place in np.linspace(0, count - 1, min(wanted, count)).round()})
