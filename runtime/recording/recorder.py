"""Wire messages of sessions on disk, as they went over the network, with their times.

The file: `MAGIC`, a length (4 bytes), as much JSON (version, server, preset, when), then entries: a
head (`_HEAD`: length of the data, kind, number of the stream, microseconds since the file began)
and its data. All numbers are little-endian. Each entry is written at once, so that a server that
is killed leaves at most its last entry cut off; readers stop there.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

MAGIC = b"C2RWIRE\n"
VERSION = 1
MAX_HEADER = 1 << 20
_HEAD = struct.Struct("<IBIQ")


class Kind(IntEnum):
    """What an entry holds."""

    REQUEST = 1
    """From the client."""
    RESPONSE = 2
    """From the server."""
    CLOSED = 3
    """The stream is over; no data."""


@dataclass(frozen=True)
class Entry:
    """One message; `stream` numbers the streams of a file from 1."""

    kind: Kind
    stream: int
    time_us: int
    data: bytes


class Recorder:
    """Writes one file. A disk that fails ends the recording, never a session."""

    def __init__(self, path: Path, details: dict[str, str]) -> None:
        # Frames and prompts are the player's own: for the owner's eyes.
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
        self._file = os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0)
        self._path = path
        self._begun_ns = time.monotonic_ns()
        self._streams = 0
        header = {"version": VERSION, "begun_unix_s": time.time(), **details}
        text = json.dumps(header).encode()
        self._file.write(MAGIC + len(text).to_bytes(4, "little") + text)

    def next_stream(self) -> int:
        """A number for a new stream."""
        self._streams += 1
        return self._streams

    def write(self, kind: Kind, stream: int, data: bytes = b"") -> None:
        """One entry, with the time of now."""
        if self._file.closed:
            return
        time_us = (time.monotonic_ns() - self._begun_ns) // 1000
        try:
            self._file.write(_HEAD.pack(len(data), kind, stream, time_us) + data)
        except OSError:
            log.exception("recording to %s ended: the file cannot be written", self._path)
            self._file.close()

    def close(self) -> None:
        """End the file."""
        self._file.close()


def read_header(file: BinaryIO, name: str) -> dict[str, object]:
    """What the file says about itself; `ValueError` when it is no recording."""
    magic, size = file.read(len(MAGIC)), int.from_bytes(file.read(4), "little")
    if magic != MAGIC or size > MAX_HEADER:
        raise ValueError(f"{name} is no recording; make one with: c2r serve --record FILE")
    try:
        header = json.loads(file.read(size))
    except ValueError as error:
        raise ValueError(f"{name} is a recording with a broken header: {error}") from error
    if not isinstance(header, dict) or header.get("version") != VERSION:
        found = header.get("version") if isinstance(header, dict) else None
        raise ValueError(f"{name} is a recording of version {found}; this program reads {VERSION}")
    return header


def read_entries(file: BinaryIO, name: str) -> Iterator[Entry]:
    """All whole entries behind the header. `ValueError` for an entry that cannot be."""
    while len(head := file.read(_HEAD.size)) == _HEAD.size:
        size, kind, stream, time_us = _HEAD.unpack(head)
        data = file.read(size)
        if len(data) < size:
            return
        try:
            yield Entry(Kind(kind), stream, time_us, data)
        except ValueError as error:
            raise ValueError(f"{name} is damaged: it holds an entry of kind {kind}") from error
