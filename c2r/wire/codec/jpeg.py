"""JPEG colour images (libjpeg-turbo through simplejpeg). Stateless.

Only baseline images are accepted, with at most one scan per component: a progressive file of a few
kilobytes can hold thousands of scans, each as expensive to decode as a whole image.
"""

from __future__ import annotations

import numpy as np

from c2r.wire.codec.colour import ColourCoding, ColourQuality
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Image, PixelFormat

_SCAN = 0xDA
_SEQUENTIAL = (0xC0, 0xC1)
_NOT_FRAMES = (0xC4, 0xC8, 0xCC)
"""Codes among those of the frame headers (0xC0 to 0xCF) that mean something else."""
_MAX_SCANS = 3


class JpegEncoder:
    """[H, W, 3] RGB into JPEG. `quality` [1, 100]; `chroma` "444" keeps edges between colours."""

    pixel_format: PixelFormat | None = None

    def __init__(self, quality: int, chroma: str) -> None:
        import simplejpeg

        self._jpeg = simplejpeg
        self.quality, self.chroma = quality, chroma

    def encode(self, rgb: Image, *, keyframe: bool = False) -> bytes:
        image = np.ascontiguousarray(rgb)
        data: bytes = self._jpeg.encode_jpeg(image, self.quality, "RGB", self.chroma)
        return data


class JpegDecoder:
    """JPEG of a known size into [H, W, 3] RGB."""

    def __init__(self, width: int, height: int) -> None:
        import simplejpeg

        self._jpeg = simplejpeg
        self.width, self.height = width, height

    def decode(self, data: bytes, pixel_format: PixelFormat | None) -> Image:
        """One image; its header is checked before anything is unpacked."""
        try:
            self._check_header(data)
            image: Image = self._jpeg.decode_jpeg(data, "RGB", strict=True)
        except WireError:
            raise
        except ValueError as error:
            message = f"is not a whole JPEG image ({error})"
            raise WireError(ErrorCode.MALFORMED, message) from error
        return image

    def lose(self) -> None:
        """Nothing to do: no image refers to another."""

    def _check_header(self, data: bytes) -> None:
        height, width, space, _ = self._jpeg.decode_jpeg_header(data)
        if (width, height) != (self.width, self.height):
            code = ErrorCode.TOO_LARGE if width * height > self.width * self.height else None
            message = (
                f"is a JPEG of {width}x{height}; the session agreed {self.width}x{self.height}"
            )
            raise WireError(code or ErrorCode.INVALID, message)
        if space in ("CMYK", "YCCK"):
            message = f"is a JPEG of {space} colours; send YCbCr (JFIF)"
            raise WireError(ErrorCode.UNSUPPORTED, message)
        if not _is_baseline(data):
            raise WireError(ErrorCode.UNSUPPORTED, "is a progressive JPEG; send a baseline one")


def _is_baseline(data: bytes) -> bool:
    """Sequential Huffman coding in a few scans; `data` starts like a JPEG."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != _SCAN:
        marker = data[at + 1]
        if 0xC0 <= marker <= 0xCF and marker not in (*_SEQUENTIAL, *_NOT_FRAMES):
            return False
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    # Inside a scan a byte 0xFF is followed by 0 or a restart marker, so this counts scans; none
    # means that the headers did not lead to one.
    return 1 <= data.count(bytes((0xFF, _SCAN)), at) <= _MAX_SCANS


def _encoder(width: int, height: int, fps: float, quality: ColourQuality) -> JpegEncoder:
    return JpegEncoder(quality.jpeg, quality.jpeg_chroma)


JPEG = ColourCoding(_encoder, JpegDecoder)
