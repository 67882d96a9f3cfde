"""H.264 colour images (PyAV): one access unit per payload, each predicted from those before it.

Encoder and decoder live as long as one direction of one session. After a lost or broken frame
nothing can be decoded until an IDR frame, which refers to no other.
"""

from __future__ import annotations

import re
from fractions import Fraction

import av
import numpy as np
from av.video.frame import PictureType
from av.video.reformatter import ColorRange, Colorspace

from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Image, PixelFormat

_BT709 = 1
"""The same number for primaries, transfer and matrix (ITU-T H.273)."""
_LIMITED, _FULL = 1, 2
_BT601 = (5, 6)
"""Matrices of BT.470 BG and SMPTE 170M, which are the same."""
_NAL = re.compile(rb"\x00\x00\x01(.)(.)", re.DOTALL)
_SLICE, _IDR = 1, 5
_FORMATS = ("yuv420p", "yuvj420p")


class H264Encoder:
    """[H, W, 3] RGB into Annex B; sides are even. `crf` is x264's quality, lower is better."""

    pixel_format: PixelFormat | None = None

    def __init__(self, width: int, height: int, fps: float, crf: int) -> None:
        check_even(width, height)
        rate = Fraction(fps).limit_denominator(1001)
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.framerate, context.time_base = rate, 1 / rate
        context.color_range = _LIMITED
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.max_b_frames = 0
        context.thread_count = 1
        context.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": str(crf),
            "forced-idr": "1",
        }
        self._context = context
        self._count = 0

    def encode(self, rgb: Image, *, keyframe: bool = False) -> bytes:
        """The next frame; `keyframe` makes it an IDR frame."""
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        frame.pts = self._count
        frame.pict_type = PictureType.I if keyframe else PictureType.NONE
        self._count += 1
        packets = self._context.encode(frame)
        assert len(packets) == 1, "zerolatency gives one packet per frame"
        return bytes(packets[0])


class H264Decoder:
    """Annex B of a known size into [H, W, 3] RGB."""

    def __init__(self, width: int, height: int) -> None:
        check_even(width, height)
        self.width, self.height = width, height
        context = av.CodecContext.create("h264", "r")
        context.thread_count = 1
        # Checked by FFmpeg before it allocates, against sides that it has rounded up.
        most = _round_up(width) * _round_up(height)
        context.options = {
            "max_pixels": str(most),
            "err_detect": "explode",
            "flags": "+low_delay",
        }
        self._context = context
        self._lost = True

    def decode(self, data: bytes, pixel_format: PixelFormat | None) -> Image:
        """The next frame; `NEEDS_KEYFRAME` after a loss, until an IDR frame comes."""
        if _check_one_frame(data):
            self._context.flush_buffers()
        elif self._lost:
            message = "H.264 lost a frame that this one is predicted from; send an IDR frame"
            raise WireError(ErrorCode.NEEDS_KEYFRAME, message)
        # Whatever goes wrong below leaves a gap in the references: stay lost unless all is well.
        self._lost = True
        frame = self._decode_one(data)
        self._check_frame(frame)
        self._lost = False
        return _to_rgb(frame)

    def lose(self) -> None:
        """A frame was skipped undecoded: the next one must be an IDR frame."""
        self._lost = True

    def _decode_one(self, data: bytes) -> av.VideoFrame:
        try:
            frames = self._context.decode(av.Packet(data))
        except av.FFmpegError as error:
            message = f"is not a whole H.264 frame of {self.width}x{self.height} ({error})"
            raise WireError(ErrorCode.MALFORMED, message) from error
        if len(frames) != 1 or frames[0].is_corrupt:
            raise WireError(ErrorCode.MALFORMED, "is a truncated or broken H.264 frame")
        return frames[0]

    def _check_frame(self, frame: av.VideoFrame) -> None:
        if (frame.width, frame.height) != (self.width, self.height):
            message = f"is {frame.width}x{frame.height}; the session agreed "
            message += f"{self.width}x{self.height}"
            raise WireError(ErrorCode.INVALID, message)
        if frame.format.name not in _FORMATS:
            message = f"is H.264 in {frame.format.name}; send 8-bit 4:2:0"
            raise WireError(ErrorCode.UNSUPPORTED, message)


def _to_rgb(frame: av.VideoFrame) -> Image:
    # What the stream does not say is BT.709 and limited range; FFmpeg would guess BT.601.
    full = frame.color_range == _FULL or frame.format.name == "yuvj420p"
    image: Image = frame.reformat(
        format="rgb24",
        src_colorspace=Colorspace.ITU601 if frame.colorspace in _BT601 else Colorspace.ITU709,
        src_color_range=ColorRange.JPEG if full else ColorRange.MPEG,
        # RGB has no matrix; but PyAV before 16 applies the source's only where the two differ.
        dst_colorspace=Colorspace.FCC,
        dst_color_range=ColorRange.JPEG,
    ).to_ndarray()
    return image


def check_even(width: int, height: int) -> None:
    """4:2:0 has no odd sides; `UNSUPPORTED` for them."""
    if width % 2 or height % 2:
        message = f"h264 needs even sides, not {width}x{height}; use jpeg"
        raise WireError(ErrorCode.UNSUPPORTED, message)


def _round_up(side: int) -> int:
    return -(-side // 64) * 64


def _check_one_frame(data: bytes) -> bool:
    """Whether the payload is an IDR frame; refused unless it is exactly one frame.

    Counted before decoding: a payload of a few kilobytes can hold thousands of frames.
    """
    starts = []
    for header, first in _NAL.findall(data):
        kind = header[0] & 0x1F
        # A slice whose first macroblock is 0 (Exp-Golomb: a leading 1 bit) begins a frame.
        if kind in (_SLICE, _IDR) and first[0] & 0x80:
            starts.append(kind)
    if len(starts) != 1:
        message = f"holds {len(starts)} H.264 frames (Annex B); send exactly one per payload"
        raise WireError(ErrorCode.MALFORMED, message)
    return starts[0] == _IDR
