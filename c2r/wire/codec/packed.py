"""Colour images whose pixels stay as they are: raw, zstd, lz4. Stateless."""

from __future__ import annotations

import numpy as np

from c2r.wire.codec.lossless import pack_array, unpack_array
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec, Image, PixelFormat


class PackedEncoder:
    """[H, W, 3] RGB into packed pixels; a fourth byte is 255."""

    def __init__(self, codec: Codec, pixel_format: PixelFormat = PixelFormat.RGB8) -> None:
        self.codec = codec
        self.pixel_format = pixel_format

    def encode(self, rgb: Image, *, keyframe: bool = False) -> bytes:
        """One image; every one is a keyframe."""
        return pack_array(self.codec, _from_rgb(rgb, self.pixel_format))


class PackedDecoder:
    """Packed pixels of a known size into [H, W, 3] RGB."""

    def __init__(self, codec: Codec, width: int, height: int) -> None:
        self.codec = codec
        self.width, self.height = width, height

    def decode(self, data: bytes, pixel_format: PixelFormat | None) -> Image:
        """One image, C-contiguous, perhaps read-only."""
        if pixel_format is None:
            message = f"is unset; {self.codec} needs one of: {', '.join(PixelFormat)}"
            raise WireError(ErrorCode.MALFORMED, message, "pixel_format")
        shape = (self.height, self.width, pixel_format.channels)
        return _to_rgb(unpack_array(self.codec, data, shape, np.uint8), pixel_format)

    def lose(self) -> None:
        """Nothing to lose: no image depends on another."""


_CHANNELS = {PixelFormat.RGBA8: (0, 1, 2), PixelFormat.BGRA8: (2, 1, 0)}
"""Where red, green and blue stand. Copied one by one: several times faster than a fancy index."""


def _from_rgb(rgb: Image, pixel_format: PixelFormat) -> Image:
    if pixel_format is PixelFormat.RGB8:
        return rgb
    out = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    for colour, place in enumerate(_CHANNELS[pixel_format]):
        out[..., place] = rgb[..., colour]
    return out


def _to_rgb(pixels: Image, pixel_format: PixelFormat) -> Image:
    if pixel_format is PixelFormat.RGB8:
        return pixels
    out = np.empty((*pixels.shape[:2], 3), np.uint8)
    for colour, place in enumerate(_CHANNELS[pixel_format]):
        out[..., colour] = pixels[..., place]
    return out
