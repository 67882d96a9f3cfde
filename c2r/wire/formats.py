"""Names of codecs and layouts, and the lists that two sides agree over."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from c2r.wire.checks import require

Image = NDArray[np.uint8]
"""A colour image, [rows, columns, 3]: RGB, top row first."""


class Codec(StrEnum):
    """How values are packed into bytes; `renderer.proto` defines each."""

    RAW = "raw"
    ZSTD = "zstd"
    LZ4 = "lz4"
    JPEG = "jpeg"
    H264 = "h264"

    @property
    def lossless(self) -> bool:
        """Decodes to the very bytes that were encoded, so that depth and motion may use it."""
        from c2r.wire.codec.registry import CODECS  # the table imports this module

        return CODECS[self].lossless


class PixelFormat(StrEnum):
    """Bytes of one pixel in memory order; a fourth byte is ignored."""

    RGB8 = "rgb8"
    RGBA8 = "rgba8"
    BGRA8 = "bgra8"

    @property
    def channels(self) -> int:
        """Bytes per pixel."""
        return 3 if self is PixelFormat.RGB8 else 4


class RowOrder(StrEnum):
    """Which row comes first in memory; unspecified means top first."""

    UNSPECIFIED = "unspecified"
    TOP_FIRST = "top_first"
    BOTTOM_FIRST = "bottom_first"


class DepthFormat(StrEnum):
    """Type of one stored depth."""

    F16 = "f16"
    F32 = "f32"
    U16 = "u16"


class SideChannel(StrEnum):
    """What a frame may carry besides its colour, once granted."""

    DEPTH = "depth"
    MOTION = "motion"
    CAMERA = "camera"


@dataclass(frozen=True)
class CodecLists:
    """The codecs that one side accepts for coarse and for rendered frames, best first."""

    coarse: tuple[Codec, ...]
    picture: tuple[Codec, ...]

    def __post_init__(self) -> None:
        for name in ("coarse", "picture"):
            require(bool(getattr(self, name)), "names no known codec; name at least raw", name)


@dataclass(frozen=True)
class CodecChoice:
    """The codecs of one session: of coarse colour, of depth and motion, of rendered frames."""

    coarse: Codec
    plane: Codec
    picture: Codec

    def __post_init__(self) -> None:
        message = f"is {self.plane}; depth and motion need raw, zstd or lz4"
        require(self.plane.lossless, message, "plane")
