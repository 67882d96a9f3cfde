"""HTTP/2 frames and HPACK, as little as a server of the tests needs (RFC 9113, RFC 7541)."""

from __future__ import annotations

import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    0, 1, 3, 4, 6, 7, 8, 9,
)  # fmt: skip
END_STREAM, ACK, END_HEADERS, PADDED = 1, 1, 4, 8
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 4, 5

_HUFFMAN = {
    **{sign: format(code, "05b") for code, sign in enumerate("012aceiost")},
    **{sign: format(0x14 + code, "06b") for code, sign in enumerate(" %-./3456789=A_bdfghlmnpru")},
}
"""The part of RFC 7541, appendix B, that gRPC's headers need."""


def frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    """One frame."""
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame; names as in this module, lower case."""
    names = {"initial_window_size": INITIAL_WINDOW_SIZE, "max_frame_size": MAX_FRAME_SIZE}
    pairs = [struct.pack(">HI", names[name], value) for name, value in values.items()]
    return frame(SETTINGS, 0, 0, b"".join(pairs))


def window_update(stream: int, size: int) -> bytes:
    """More room to send."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", size))


def goaway(last_stream: int, code: int, text: bytes = b"") -> bytes:
    """The server takes no streams above `last_stream`."""
    return frame(GOAWAY, 0, 0, struct.pack(">II", last_stream, code) + text)


def rst_stream(stream: int, code: int) -> bytes:
    """The stream is over."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


def grpc_message(data: bytes, *, compressed: bool = False, size: int | None = None) -> bytes:
    """A message with gRPC's prefix, which may lie."""
    return struct.pack(">BI", compressed, len(data) if size is None else size) + data


def header_block(headers: list[tuple[str, str]], *, huffman: bool = False) -> bytes:
    """HPACK, literals without indexing."""
    return b"".join(
        b"\x00" + _text(name, huffman) + _text(value, huffman) for name, value in headers
    )


def header_frames(
    stream: int, headers: list[tuple[str, str]], *, end: bool, piece: int, huffman: bool
) -> bytes:
    """HEADERS and as many CONTINUATION frames as pieces of `piece` bytes take."""
    block = header_block(headers, huffman=huffman)
    pieces = [block[at : at + piece] for at in range(0, len(block), piece)]
    out = b""
    for index, part in enumerate(pieces):
        flags = END_HEADERS if index == len(pieces) - 1 else 0
        if index == 0:
            out += frame(HEADERS, flags | (END_STREAM if end else 0), stream, part)
        else:
            out += frame(CONTINUATION, flags, stream, part)
    return out


def _text(text: str, huffman: bool) -> bytes:
    plain = text.encode()
    if not huffman or not set(text) <= set(_HUFFMAN):
        return _length(len(plain), 0) + plain
    bits = "".join(_HUFFMAN[sign] for sign in text)
    bits += "1" * (-len(bits) % 8)
    packed = int(bits, 2).to_bytes(len(bits) // 8, "big")
    return _length(len(packed), 0x80) + packed


def _length(size: int, flag: int) -> bytes:
    if size < 127:
        return bytes([flag | size])
    out, size = bytearray([flag | 127]), size - 127
    while size >= 128:
        out.append(size & 127 | 128)
        size >>= 7
    return bytes([*out, size])
