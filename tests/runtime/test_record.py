"""Recordings: what they keep, what survives a kill, and playing them back."""

from __future__ import annotations

import asyncio
import io
import json
import stat
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import pytest

from c2r.wire import parse_request
from c2r.wire.events import ControlChange, EndRequest
from c2r.wire.formats import Codec, CodecLists
from runtime.cli import replay
from runtime.recording import recorder as recorder_module
from runtime.recording.recorder import Entry, Kind, Recorder, read_entries, read_header
from runtime.recording.redact import response_without_token
from runtime.recording.replies import read_stream, recorded_replies
from tests.runtime.bare_client import session
from tests.runtime.serving import FIRST, LATER, SlowPipeline, frames, parked, run, serving


def entries_of(path: Path) -> list[Entry]:
    with path.open("rb") as file:
        read_header(file, str(path))
        return list(read_entries(file, str(path)))


def recorded(path: Path, **changes: Any) -> list[bytes]:
    """Record one session of two chunks; gives what its client received."""
    received: list[bytes] = []

    async def test() -> None:
        async with serving(record=path) as server, session(server, seed=None, **changes) as client:
            await client.send(ControlChange(1, strength=0.5))
            await client.render(frames(FIRST))
            await asyncio.sleep(0.2)
            await client.render(frames(LATER + 2, first_id=FIRST)[:LATER])
            await client.send(*frames(LATER + 2, first_id=FIRST)[LATER:], EndRequest())
            await client.over()
            received.extend(client.raw)

    run(test())
    return received


def test_a_recording_keeps_every_message_as_it_was(tmp_path):
    path = tmp_path / "session.c2r"
    received = recorded(path)
    entries = entries_of(path)
    kept = [one.data for one in entries if one.kind is Kind.RESPONSE]
    assert kept == [response_without_token(one) for one in received]
    assert kept[1:] == received[1:], "all but the resume token in the first one"
    requests = [parse_request(one.data) for one in entries if one.kind is Kind.REQUEST]
    kinds = [one.WhichOneof("body") for one in requests]
    assert kinds == ["open", "control", *["frame"] * (FIRST + LATER + 2), "end"]
    times = [one.time_us for one in entries]
    assert times == sorted(times)
    assert times[-1] - times[0] >= 200_000
    assert entries[-1] == Entry(Kind.CLOSED, 1, times[-1], b"")
    with path.open("rb") as file:
        header = read_header(file, "it")
    assert header["preset"] == "debug"
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, "frames are the player's own"


def test_a_file_that_was_cut_off_gives_all_but_the_last(tmp_path):
    path = tmp_path / "cut.c2r"
    recorder = Recorder(path, {})
    for number in range(3):
        recorder.write(Kind.REQUEST, 1, bytes(100 + number))
    deadline = time.monotonic() + 10
    while len(entries_of(path)) < 3:
        assert time.monotonic() < deadline, "written at once, not when the file is closed"
    whole = path.read_bytes()
    recorder.close()
    for missing in (1, 50, 102, 110):
        path.write_bytes(whole[:-missing])
        assert [len(one.data) for one in entries_of(path)] == [100, 101]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no recording"),
        (b"hello, this is no recording at all", "no recording"),
        (b"C2RWIRE\n\x02\0\0\0{]", "broken header"),
        (b'C2RWIRE\n\x0d\0\0\0{"version":9}', "version 9"),
    ],
)
def test_what_is_no_recording_is_said_so(tmp_path, data, words):
    path = tmp_path / "file"
    path.write_bytes(data)
    with pytest.raises(ValueError, match=words):
        entries_of(path)


def test_a_damaged_entry_is_said_so(tmp_path):
    path = tmp_path / "file"
    Recorder(path, {}).close()
    path.write_bytes(path.read_bytes() + b"\0\0\0\0\x77" + bytes(12))
    with pytest.raises(ValueError, match="kind 119"):
        entries_of(path)


def test_a_file_that_exists_is_not_overwritten(tmp_path):
    path = tmp_path / "dear.c2r"
    path.write_bytes(b"the only one")

    async def test() -> None:
        with pytest.raises(FileExistsError, match=r"dear\.c2r exists; give --record another"):
            async with serving(record=path):
                pass

    run(test())
    assert path.read_bytes() == b"the only one"


def test_a_server_that_cannot_listen_leaves_no_file(tmp_path):
    async def test() -> None:
        async with serving() as server:
            port = int(server.address.rpartition(":")[2])
            with pytest.raises(OSError, match="taken"):
                async with serving(record=tmp_path / "new.c2r", port=port):
                    pass

    run(test())
    assert not (tmp_path / "new.c2r").exists()


def test_no_recording_holds_a_resume_token(tmp_path):
    path, tokens = tmp_path / "session.c2r", []

    async def test() -> None:
        async with serving(record=path) as server:
            token = b""
            for _ in range(3):
                async with session(server, resume_token=token) as client:
                    assert client.accepted is not None
                    token = client.accepted.resume_token
                    tokens.append(token)
                await parked(server)

    run(test())
    assert all(tokens)
    assert not any(token in path.read_bytes() for token in tokens)
    assert sum(one.kind is Kind.RESPONSE for one in entries_of(path)) >= 6


class StalledFile(io.BytesIO):
    """A disk that takes nothing until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, data: Any) -> int:
        assert self.goes_on.wait(60)
        return super().write(data)


def test_a_stalled_disk_ends_the_recording_and_holds_nobody_up(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(recorder_module, "MAX_WAITING_BYTES", 100_000)
    monkeypatch.setattr(recorder_module, "CLOSE_S", 0.1)
    disk = StalledFile()

    async def test() -> None:
        async with serving(record=tmp_path / "slow.c2r") as server:
            recorder = server._service.recorder
            assert recorder is not None
            recorder._file.close()
            recorder._file = cast(Any, disk)
            async with session(server) as client:
                count = FIRST + 4 * LATER
                await client.render(frames(count))
                assert len(client.frames()) == count
            assert recorder._waiting_bytes < 200_000

    run(test())
    disk.goes_on.set()
    assert "the disk is too slow" in caplog.text


def play(path: Path, tmp_path: Path, *options: str, source: Any = None) -> dict[str, Any]:
    """Run `c2r replay` against a server of its own; gives the JSON that it wrote."""
    output = tmp_path / "replay.json"

    async def test() -> None:
        async with serving(source) as server:
            words = [str(path), "--server", server.address, "--json", str(output), *options]
            assert await asyncio.to_thread(replay.main, words) == 0

    run(test())
    comparison: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
    return comparison


def test_a_replay_gives_the_same_frames(tmp_path):
    path = tmp_path / "session.c2r"
    recorded(path)
    count = FIRST + LATER + 2
    comparison = play(path, tmp_path, "--speed", "4")
    assert comparison["pictures"] == {"equal": count, "compared": count}
    for side in ("recorded", "replayed"):
        kinds = {kind: comparison[side][kind] for kind in ("rendered", "dropped", "failed")}
        assert kinds == {"rendered": count, "dropped": 0, "failed": 0}
        assert comparison[side]["latency_ms"]["p50"] > 0
        assert comparison[side]["ended"].startswith("client")


def test_a_replay_sees_that_frames_differ(tmp_path):
    class Darker(SlowPipeline):
        def download(self, decoded: Any) -> Any:
            return super().download(decoded) // 2

    path = tmp_path / "session.c2r"
    recorded(path)
    comparison = play(path, tmp_path, source=Darker())
    assert comparison["pictures"]["equal"] < comparison["pictures"]["compared"] == FIRST + LATER + 2


def test_lossy_frames_are_not_compared(tmp_path):
    path = tmp_path / "session.c2r"
    recorded(path, codecs=CodecLists((Codec.ZSTD,), (Codec.JPEG,)))
    comparison = play(path, tmp_path)
    assert comparison["pictures"] is None
    assert comparison["replayed"]["rendered"] == FIRST + LATER + 2


def test_streams_are_told_apart(tmp_path):
    path = tmp_path / "two.c2r"

    async def test() -> None:
        async with (
            serving(record=path) as server,
            session(server) as one,
            session(server, seed=8) as two,
        ):
            await asyncio.gather(one.render(frames(FIRST)), two.render(frames(FIRST, seed=3)))

    run(test())
    for number, seed in ((1, 5), (2, 8)):
        replies = recorded_replies(read_stream(path, number))
        assert replies.accepted is not None
        assert replies.accepted.seed == seed
        assert len(replies.frames) == FIRST
    with pytest.raises(ValueError, match="no stream 3 to play; it has: 1, 2"):
        read_stream(path, 3)


def test_a_server_that_is_not_there_is_said(tmp_path):
    path = tmp_path / "session.c2r"
    recorded(path)
    with pytest.raises(ValueError, match="the server ended the stream"):
        replay.main([str(path), "--server", "127.0.0.1:1"])
    with pytest.raises(ValueError, match="--speed"):
        replay.main([str(path), "--speed", "0"])
    for server, words in (("127.0.0.1:123743", "ports are 1 to 65535"), ("localhost", "no port")):
        with pytest.raises(ValueError, match=words):
            replay.main([str(path), "--server", server])
