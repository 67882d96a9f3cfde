"""Recordings: what they keep, what survives a kill, and playing them back."""

from __future__ import annotations

import asyncio
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from c2r.wire import parse_request
from c2r.wire.events import ControlChange, EndRequest
from c2r.wire.formats import Codec, CodecLists
from runtime.cli import replay
from runtime.recording.recorder import Entry, Kind, Recorder, read_entries, read_header
from runtime.recording.replies import read_stream, recorded_replies
from tests.runtime.bare_client import session
from tests.runtime.serving import FIRST, LATER, SlowPipeline, frames, run, serving


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
    assert [one.data for one in entries if one.kind is Kind.RESPONSE] == received
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
    whole = path.read_bytes()
    assert len(entries_of(path)) == 3, "written at once, not when the file is closed"
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
