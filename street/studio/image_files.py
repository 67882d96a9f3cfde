"""Image files of a render, with the standard library and numpy alone: Blender's interpreter has
neither Pillow nor an OpenEXR reader.

Reads uncompressed scan-line OpenEXR (https://openexr.com/en/latest/OpenEXRFileLayout.html) and
writes 8-bit RGB PNG (RFC 2083) and geometry as `.npz`. Files are written under another name and
then renamed: a killed render leaves no file that looks finished.
"""

from __future__ import annotations

import struct
import zlib
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
    attributes = {}
    while data[at]:
        name, at = _text(data, at)
        _, at = _text(data, at)
        (size,) = struct.unpack_from("<i", data, at)
        attributes[name] = data[at + 4 : at + 4 + size]
        at += 4 + size
    return attributes, at + 1


def _channels(data: bytes) -> list[tuple[str, int]]:
    """Names and pixel types, in the order in which every line stores them."""
    channels, at = [], 0
    while data[at]:
        name, at = _text(data, at)
        channels.append((name, struct.unpack_from("<i", data, at)[0]))
        at += 16
    return channels


def _text(data: bytes, at: int) -> tuple[str, int]:
    end = data.index(b"\0", at)
    return data[at:end].decode("ascii"), end + 1


def write_png(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Writes `rgb` [H, W, 3]. Equal images give equal files."""
    height, width, _ = rgb.shape
    lines = np.zeros((height, 1 + 3 * width), np.uint8)
    lines[:, 1:] = rgb.reshape(height, -1)
    size = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = _chunk(b"IHDR", size) + _chunk(b"IDAT", zlib.compress(lines.tobytes(), 6))
    part = path.with_suffix(".part")
    part.write_bytes(b"\x89PNG\r\n\x1a\n" + body + _chunk(b"IEND", b""))
    part.replace(path)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_geometry(path: Path, depth: NDArray[np.float32], part: NDArray[np.int32]) -> None:
    """Writes depth and part numbers [H, W] into one `.npz`."""
    part_file = path.with_suffix(".part")
    with part_file.open("wb") as file:
        np.savez_compressed(file, depth=depth, part=part)
    part_file.replace(path)
