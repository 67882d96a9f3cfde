"""Reads the one kind of OpenEXR file that a render here leaves: uncompressed scan lines.

Format: https://openexr.com/en/latest/OpenEXRFileLayout.html
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

MAGIC = 20000630
_TYPES = ("<u4", "<f2", "<f4")


def read_exr(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every channel of the file by its full name, float32 [H, W].

    Raises ValueError when the file is no uncompressed single-part scan-line OpenEXR.
    """
    data = path.read_bytes()
    magic, version = struct.unpack_from("<II", data)
    if magic != MAGIC or version & 0x1A00:
        raise ValueError(f"{path} is no single-part scan-line OpenEXR file")
    header, at = _header(data, 8)
    if header["compression"] != b"\0":
        raise ValueError(f"{path} is compressed; write it with codec NONE")
    x0, y0, x1, y1 = struct.unpack("<4i", header["dataWindow"])
    width, height = x1 - x0 + 1, y1 - y0 + 1
    channels = _channels(header["channels"])
    layout = np.dtype(
        [("y", "<i4"), ("size", "<i4")] + [(name, _TYPES[kind], width) for name, kind in channels]
    )
    lines = np.frombuffer(data, layout, height, at + 8 * height)
    return {name: lines[name].astype(np.float32) for name, _ in channels}


def _header(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    """Attributes by name, and where the header ends."""
    found = {}
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        found[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return found, at + 1


def _channels(data: bytes) -> list[tuple[str, int]]:
    """Names and pixel types, in the order in which every line stores them."""
    found, at = [], 0
    while data[at]:
        name, at = _text(data, at)
        found.append((name, struct.unpack_from("<i", data, at)[0]))
        at += 16
    return found


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode("ascii"), end + 1
