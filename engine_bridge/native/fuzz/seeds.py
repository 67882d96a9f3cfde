"""Writes the seeds of the fuzz targets: one valid example of each kind, made by the Python side.

python engine_bridge/native/fuzz/seeds.py build/native-fuzz/fuzz/seeds     from the repository root
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from c2r.wire.codec import make_encoder
from c2r.wire.formats import Codec
from tests.native import http2_frames as h2
from tests.native.test_native_golden import RESPONSES

GRPC = [(":status", "200"), ("content-type", "application/grpc")]


def responses() -> list[bytes]:
    """Messages of the server."""
    return [message.SerializeToString() for message, _ in RESPONSES]


def http2() -> list[bytes]:
    """Connections, each behind the byte for the size of the reads."""
    start = h2.settings(initial_window_size=65535) + h2.frame(h2.SETTINGS, h2.ACK, 0)
    head = h2.header_frames(1, GRPC, end=False, piece=20, huffman=True)
    ok = [("grpc-status", "0"), ("grpc-message", "all%20well")]
    tail = h2.header_frames(1, ok, end=True, piece=999, huffman=False)
    data = b"".join(h2.frame(h2.DATA, 0, 1, h2.grpc_message(one)) for one in responses())
    padded = h2.frame(h2.DATA, h2.PADDED, 1, b"\x03" + h2.grpc_message(b"") + b"\0\0\0")
    extras = (
        h2.frame(h2.PING, 0, 0, bytes(8)),
        h2.goaway(1, 0, b"later"),
        h2.rst_stream(1, 2),
        h2.window_update(0, 1000),
        padded,
    )
    whole = [start + head + data + tail, start + head + padded + tail, b"HTTP/1.1 400 Bad\r\n\r\n"]
    whole += [start + head + extra + data + tail for extra in extras]
    return [bytes([cut]) + one for one in whole for cut in (0, 1, 100)]


def pictures() -> list[bytes]:
    """A picture in each codec, behind the bytes that choose it."""
    rgb = np.random.default_rng(1).integers(0, 9, (16, 24, 3), np.uint8)
    codecs = (Codec.RAW, Codec.ZSTD, Codec.LZ4, Codec.JPEG)
    return [
        bytes([place, 23, 15, 0, 0, place < 3]) + make_encoder(codec, 24, 16, 30.0).encode(rgb)
        for place, codec in enumerate(codecs)
    ]


def texts() -> list[bytes]:
    """Header texts."""
    return [b"plain", b"a%20b%C3%BC%", "früher €".encode(), b"%00%ff"]


def main(folder: Path) -> None:
    """Write every seed into a folder of its target."""
    seeds = {"response": responses(), "http2": http2(), "picture": pictures(), "text": texts()}
    for name, examples in seeds.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, example in enumerate(examples):
            (folder / name / str(number)).write_bytes(example)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
