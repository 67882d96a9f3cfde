"""zstd (RFC 8878), level 1: lossless, for links slower than a few gigabits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from c2r.wire.codec.packed import BytePacking, unreadable, wrong_size

LEVEL = 1
MAX_WINDOW = 8 << 20
"""Bytes; what RFC 8878 asks every decoder to take, and what a frame may make us allocate."""


def _pack(array: NDArray[np.uint8]) -> bytes:
    import zstandard

    packed: bytes = zstandard.ZstdCompressor(level=LEVEL).compress(array.data)
    return packed


def _unpack(data: bytes, size: int) -> bytes:
    import zstandard

    try:
        declared = zstandard.frame_content_size(data)
        # The library trusts a declared size and ignores `max_output_size`: a bomb of a few
        # kilobytes could claim gigabytes. So the declared size is checked first.
        if declared not in (-1, size):
            raise wrong_size(declared, size)
        decompressor = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        unpacked: bytes = decompressor.decompress(
            data, max_output_size=size, allow_extra_data=False
        )
    except zstandard.ZstdError as error:
        raise unreadable("zstd", size, error) from error
    return unpacked


ZSTD = BytePacking("zstd", _pack, _unpack)
