"""Wire messages of sessions on disk, as they went over the network, with their times.

The file: `MAGIC`, a length (4 bytes), as much JSON (version, server, preset, when), then entries: a
head (`_HEAD`: length of the data, kind, number of the stream, microseconds since the file began)
and its data. All numbers are little-endian. Entries are written by a thread of their own, each as
soon as the disk takes it, so that a server that is killed leaves at most its last entry cut off;
readers stop there. Resume tokens are left out.
"""

from __future__ import annotations

import json
import logging
import os
import struct
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

from runtime.recording.redact import request_without_token, response_without_token

log = logging.getLogger(__name__)

MAGIC = b"C2RWIRE\n"
VERSION = 1
MAX_HEADER = 1 << 20
MAX_WAITING_BYTES = 256 << 20
"""Of messages that the disk has yet to take; beyond, the recording ends."""
CLOSE_S = 5.0
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
    """Writes one file. A disk that fails or is too slow ends the recording, never a session.

    `FileExistsError` for a file that is there already: it may be the only one of its session.
    """

    def __init__(self, path: Path, details: dict[str, str]) -> None:
        # Frames and prompts are the player's own: for the owner's eyes.
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        try:
            descriptor = os.open(path, flags, 0o600)
        except FileExistsError as error:
            message = f"{path} exists; give --record another name, or move the file away"
            raise FileExistsError(message) from error
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        self._path = path
        self._begun_ns = time.monotonic_ns()
        self._streams = 0
        header = {"version": VERSION, "begun_unix_s": time.time(), **details}
        text = json.dumps(header).encode()
        self._file.write(MAGIC + len(text).to_bytes(4, "little") + text)
        self._entries: SimpleQueue[Entry | None] = SimpleQueue()
        self._waiting_bytes, self._lock = 0, threading.Lock()
        self._over = False
        # A daemon: a disk that is stalled must not hold up the end of the program.
        self._thread = threading.Thread(target=self._run, name="c2r-record", daemon=True)
        self._thread.start()

    def next_stream(self) -> int:
        """A number for a new stream."""
        self._streams += 1
        return self._streams

    def write(self, kind: Kind, stream: int, data: bytes = b"") -> None:
        """One entry, with the time of now; returns before it is written."""
        if self._over:
            return
        with self._lock:
            self._waiting_bytes += len(data)
            self._over = self._waiting_bytes > MAX_WAITING_BYTES
        if self._over:
            log.error("recording to %s ended: the disk is too slow for it", self._path)
            self._entries.put(None)
            return
        time_us = (time.monotonic_ns() - self._begun_ns) // 1000
        self._entries.put(Entry(kind, stream, time_us, data))

    def close(self) -> None:
        """End the file, once the disk has taken what waits; that is waited for in bounded time."""
        self._over = True
        self._entries.put(None)
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            log.warning("recording to %s is cut off: the disk does not take its end", self._path)

    def _run(self) -> None:
        with self._file:
            while (entry := self._entries.get()) is not None:
                try:
                    self._file.write(_packed(entry))
                except OSError:
                    self._over = True
                    log.exception("recording to %s ended: it cannot be written", self._path)
                    return
                with self._lock:
                    self._waiting_bytes -= len(entry.data)


def _packed(entry: Entry) -> bytes:
    data = entry.data
    if entry.kind is Kind.REQUEST:
        data = request_without_token(data)
    elif entry.kind is Kind.RESPONSE:
        data = response_without_token(data)
    return _HEAD.pack(len(data), entry.kind, entry.stream, entry.time_us) + data


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
