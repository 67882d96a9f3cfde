"""Raw, zstd and lz4: bytes of a known length, for colour, depth and motion alike.

The unpacked length is known beforehand, so that no payload can unpack to more than it should: it is
refused before the memory is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from c2r.wire.codec.libraries import library
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.formats import Codec

ZSTD_LEVEL = 1
ZSTD_MAX_WINDOW = 8 << 20
"""Bytes; what RFC 8878 asks every decoder to take, and what a frame may make us allocate."""


def _pack_zstd(array: NDArray[Any]) -> bytes:
    packed: bytes = library(Codec.ZSTD).ZstdCompressor(level=ZSTD_LEVEL).compress(array.data)
    return packed


def _unpack_zstd(data: bytes, size: int) -> bytes:
    zstd = library(Codec.ZSTD)
    try:
        declared = zstd.frame_content_size(data)
        # A declared size is taken at its word by the library, whatever `max_output_size` says.
        if declared not in (-1, size):
            raise _wrong_size(declared, size)
        decompressor = zstd.ZstdDecompressor(max_window_size=ZSTD_MAX_WINDOW)
        out: bytes = decompressor.decompress(data, max_output_size=size, allow_extra_data=False)
    except zstd.ZstdError as error:
        raise _broken("zstd", size, error) from error
    return out


def _pack_lz4(array: NDArray[Any]) -> bytes:
    packed: bytes = library(Codec.LZ4).compress(array.data, store_size=False)
    return packed


def _unpack_lz4(data: bytes, size: int) -> bytes:
    lz4 = library(Codec.LZ4)
    try:
        out: bytes = lz4.decompress(data, uncompressed_size=size)
    except lz4.LZ4BlockError as error:
        raise _broken("lz4", size, error) from error
    return out


def _pack_raw(array: NDArray[Any]) -> bytes:
    return array.tobytes()


def _unpack_raw(data: bytes, size: int) -> bytes:
    return data


_PACK: dict[Codec, Callable[[NDArray[Any]], bytes]] = {
    Codec.RAW: _pack_raw,
    Codec.ZSTD: _pack_zstd,
    Codec.LZ4: _pack_lz4,
}
_UNPACK: dict[Codec, Callable[[bytes, int], bytes]] = {
    Codec.RAW: _unpack_raw,
    Codec.ZSTD: _unpack_zstd,
    Codec.LZ4: _unpack_lz4,
}


def pack_array(codec: Codec, array: NDArray[Any]) -> bytes:
    """An array's values in C order, little-endian, packed."""
    little = array.astype(array.dtype.newbyteorder("<"), order="C", copy=False)
    return _PACK[codec](little.reshape(-1).view(np.uint8))


def unpack_array(
    codec: Codec, data: bytes, shape: tuple[int, ...], dtype: DTypeLike
) -> NDArray[Any]:
    """The array of `shape` that `data` holds, read-only; `WireError` unless it is exactly that."""
    little = np.dtype(dtype).newbyteorder("<")
    size = prod(shape) * little.itemsize
    out = _UNPACK[codec](data, size)
    if len(out) != size:
        raise _wrong_size(len(out), size)
    return np.frombuffer(out, little).astype(dtype, copy=False).reshape(shape)


def _wrong_size(found: int, size: int) -> WireError:
    code = ErrorCode.TOO_LARGE if found > size else ErrorCode.MALFORMED
    return WireError(code, f"unpacks to {found} bytes; its width, height and format say {size}")


def _broken(name: str, size: int, error: Exception) -> WireError:
    message = f"is not {name} data of {size} unpacked bytes ({error})"
    return WireError(ErrorCode.MALFORMED, message)
