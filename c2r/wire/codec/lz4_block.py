"""LZ4 block format: lossless, faster and larger than zstd. No frame header: the size is known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from c2r.wire.codec.packed import BytePacking, unreadable


def _pack(array: NDArray[np.uint8]) -> bytes:
    import lz4.block

    packed: bytes = lz4.block.compress(array.data, store_size=False)
    return packed


def _unpack(data: bytes, size: int) -> bytes:
    import lz4.block

    try:
        unpacked: bytes = lz4.block.decompress(data, uncompressed_size=size)
    except lz4.block.LZ4BlockError as error:
        raise unreadable("lz4", size, error) from error
    return unpacked


LZ4 = BytePacking("lz4", _pack, _unpack)
