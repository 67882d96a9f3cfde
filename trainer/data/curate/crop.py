"""One decoded frame as an image of the clip's size: upright, square pixels, cut not stretched."""

from __future__ import annotations

from dataclasses import dataclass

import av
import cv2
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from c2r.clips.fit import Image, cover
from trainer.data.curate.decode import DecodedFrame

_UNSAID = 2
"""Colour space "unspecified" (ITU-T H.273): BT.709 from 720 lines on, BT.601 below."""


@dataclass(frozen=True)
class Box:
    """The part of an upright frame that is kept, in its stored pixels, and its enlargement."""

    left: int
    top: int
    width: int
    height: int
    turns: int
    """Quarter turns counter-clockwise that set the frame upright."""
    upscale: float
    """How much larger the clip's frame is than the box; below 1 it is reduced."""


def box_of(decoded: DecodedFrame, want: tuple[int, int]) -> Box:
    """The middle of a frame with the proportions of `want` (width, height)."""
    frame, aspect = decoded.frame, decoded.aspect
    turns = round(frame.rotation / 90) % 4
    wide, high = frame.width, frame.height
    shown = wide * max(aspect, 1), high * max(1 / aspect, 1)
    if turns % 2:
        wide, high, shown = high, wide, (shown[1], shown[0])
    have = round(shown[0]), round(shown[1])
    left, top, width, height = cover(have, want)
    across, down = wide / have[0], high / have[1]
    return Box(
        left=int(left * across),
        top=int(top * down),
        width=max(1, min(wide, round(width * across))),
        height=max(1, min(high, round(height * down))),
        turns=turns,
        # By the stored pixels: those that an aspect ratio adds hold no detail.
        upscale=max(want[0] / (width * across), want[1] / (height * down)),
    )


def fit(decoded: DecodedFrame, box: Box, want: tuple[int, int]) -> Image:
    """The box of a frame as `[height, width, 3]` RGB of the size `want` (width, height)."""
    space = _colour_space(decoded.frame)
    rgb = decoded.pixels("rgb24", src_colorspace=space, dst_color_range=ColorRange.JPEG)
    upright = np.rot90(rgb, box.turns)
    cut = upright[box.top : box.top + box.height, box.left : box.left + box.width]
    method = cv2.INTER_AREA if box.upscale <= 1 else cv2.INTER_LANCZOS4
    resized = cv2.resize(np.ascontiguousarray(cut), want, interpolation=method)
    return np.asarray(resized, np.uint8)


def _colour_space(frame: av.VideoFrame) -> int:
    if frame.colorspace != _UNSAID:
        return int(frame.colorspace)
    return int(Colorspace.ITU709 if frame.height >= 720 else Colorspace.ITU601)
