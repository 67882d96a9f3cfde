"""Lossless codecs: bytes of a known length, for colour, depth and motion. Stateless.

The unpacked length is known from the header, so a payload that would unpack to more is refused
before its memory is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Image, PixelFormat


@dataclass(frozen=True)
class BytePacking:
    """Codes bytes, and so every kind of array, without loss.

    `pack` takes contiguous uint8 [N]; `unpack` gets the expected number of bytes, must not allocate
    much more than that, and raises `WireError` for data that it cannot read.
    """

    name: str
    pack: Callable[[NDArray[np.uint8]], bytes]
    unpack: Callable[[bytes, int], bytes]

    def pack_array(self, array: NDArray[Any]) -> bytes:
        """Values in C order, little-endian, packed."""
        little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
        return self.pack(little.reshape(-1).view(np.uint8))

    def unpack_array(self, data: bytes, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """The array of `shape` in `data`, read-only; `WireError` unless it is exactly that."""
        little = np.dtype(dtype).newbyteorder("<")
        size = prod(shape) * little.itemsize
        unpacked = self.unpack(data, size)
        if len(unpacked) != size:
            raise wrong_size(len(unpacked), size)
        return np.frombuffer(unpacked, little).astype(dtype, copy=False).reshape(shape)


RAW = BytePacking("raw", pack=lambda array: array.tobytes(), unpack=lambda data, size: data)


class PackedEncoder:
    """[H, W, 3] RGB into packed pixels; a fourth byte is 255."""

    def __init__(self, packing: BytePacking, pixel_format: PixelFormat = PixelFormat.RGB8) -> None:
        self.packing = packing
        self.pixel_format = pixel_format

    def encode(self, rgb: Image, *, keyframe: bool = False) -> bytes:
        return self.packing.pack_array(_from_rgb(rgb, self.pixel_format))


class PackedDecoder:
    """Packed pixels of a known size into [H, W, 3] RGB."""

    def __init__(self, packing: BytePacking, width: int, height: int) -> None:
        self.packing = packing
        self.width, self.height = width, height

    def decode(self, data: bytes, pixel_format: PixelFormat | None) -> Image:
        """One image, C-contiguous, may be read-only."""
        if pixel_format is None:
            message = f"is unset; {self.packing.name} needs one of: {', '.join(PixelFormat)}"
            raise WireError(ErrorCode.MALFORMED, message, "pixel_format")
        shape = (self.height, self.width, pixel_format.channels)
        return _to_rgb(self.packing.unpack_array(data, shape, np.uint8), pixel_format)

    def lose(self) -> None:
        """Nothing to do: no image refers to another."""


_CHANNELS = {PixelFormat.RGBA8: (0, 1, 2), PixelFormat.BGRA8: (2, 1, 0)}
"""Where red, green and blue stand. Copied one by one: several times faster than a fancy index."""


def _from_rgb(rgb: Image, pixel_format: PixelFormat) -> Image:
    if pixel_format is PixelFormat.RGB8:
        return rgb
    pixels = np.full((*rgb.shape[:2], 4), 255, np.uint8)
    for colour, place in enumerate(_CHANNELS[pixel_format]):
        pixels[..., place] = rgb[..., colour]
    return pixels


def _to_rgb(pixels: Image, pixel_format: PixelFormat) -> Image:
    if pixel_format is PixelFormat.RGB8:
        return pixels
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for colour, place in enumerate(_CHANNELS[pixel_format]):
        rgb[..., colour] = pixels[..., place]
    return rgb


def wrong_size(found: int, size: int) -> WireError:
    """Unpacked bytes differ from those that width, height and format say."""
    code = ErrorCode.TOO_LARGE if found > size else ErrorCode.MALFORMED
    return WireError(code, f"unpacks to {found} bytes; its width, height and format say {size}")


def unreadable(name: str, size: int, error: Exception) -> WireError:
    """The library cannot read the data as `size` bytes of codec `name`."""
    message = f"is not {name} data of {size} unpacked bytes ({error})"
    return WireError(ErrorCode.MALFORMED, message)
