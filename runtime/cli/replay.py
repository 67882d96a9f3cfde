"""`c2r replay`: play the client of a recording back against a server, with its timing.

Every message leaves when it left then, counted from `accepted`. What the server answers is
compared with what was recorded: replies by kind, latency and, when frames are sent lossless,
whether they are equal. They are when both servers run the same weights and no frame was dropped.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
from rich.console import Console

from c2r.command_line import ArgumentParser
from c2r.wire import Accepted, parse_request
from c2r.wire.address import check_address
from runtime.recording.recorder import Entry, Kind
from runtime.recording.replies import (
    StreamReplies,
    note_frame,
    read_stream,
    recorded_replies,
    report,
    table_of,
)
from runtime.server.service import SERVICE

METHOD = f"/{SERVICE}/RenderStream"
CONNECT_S = 30.0
"""How long the server may take to accept, queue included, and to answer the last frame."""


def opening(data: bytes, then: Accepted | None) -> bytes:
    """The recorded `open`, with the seed that was granted then and without the resume token."""
    request = parse_request(data)
    request.open.ClearField("resume_token")
    if then is not None:
        request.open.seed = then.seed
    return request.SerializeToString()


async def play(
    channel: grpc.aio.Channel,
    entries: Sequence[Entry],
    then: StreamReplies,
    *,
    speed: float,
    metadata: Sequence[tuple[str, str]] = (),
) -> StreamReplies:
    """Play the requests back on a channel; `speed` 2 is twice as fast. `ValueError` if refused."""
    requests = [entry for entry in entries if entry.kind is Kind.REQUEST]
    call: Any = channel.stream_stream(METHOD)(metadata=list(metadata) or None)
    now, sent_s = StreamReplies(), dict[int, float]()
    accepted = asyncio.Event()

    async def receive() -> None:
        while (data := await call.read()) is not grpc.aio.EOF:
            now.add(data, time.perf_counter(), sent_s)
            if now.accepted is not None:
                accepted.set()

    receiving = asyncio.create_task(receive())
    try:
        await call.write(opening(requests[0].data, then.accepted))
        await _accepted(accepted, receiving)
        _check_codecs(now, then)
        begun_s, begun_then_s = time.perf_counter(), then.accepted_s
        for entry in requests[1:]:
            due_s = begun_s + (entry.time_us / 1e6 - begun_then_s) / speed
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))
            note_frame(entry.data, time.perf_counter(), sent_s)
            await call.write(entry.data)
        await call.done_writing()
        async with asyncio.timeout(CONNECT_S):
            await receiving
    except grpc.aio.AioRpcError as error:
        raise ValueError(f"the server ended the stream: {error.details()}") from error
    except TimeoutError as error:
        raise ValueError(f"the server did not answer for {CONNECT_S:g} s") from error
    finally:
        receiving.cancel()
        call.cancel()
        await asyncio.gather(receiving, return_exceptions=True)
    return now


async def _accepted(accepted: asyncio.Event, receiving: asyncio.Task[None]) -> None:
    waiting = asyncio.create_task(accepted.wait())
    both = {waiting, receiving}
    done, _ = await asyncio.wait(both, timeout=CONNECT_S, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    if receiving in done:
        receiving.result()
    if not accepted.is_set():
        raise TimeoutError


def _check_codecs(now: StreamReplies, then: StreamReplies) -> None:
    if now.accepted is None or then.accepted is None:
        return
    here, there = now.accepted.codecs, then.accepted.codecs
    if (here.coarse, here.plane) != (there.coarse, there.plane):
        raise ValueError(
            f"the recording's frames are {there.coarse} and {there.plane}, this server chose "
            f"{here.coarse} and {here.plane}: install the codec there, or serve on loopback"
        )


def channel_to(chosen: argparse.Namespace) -> tuple[grpc.aio.Channel, list[tuple[str, str]]]:
    """A channel to the server that the options name, and what to send with the call."""
    if not chosen.server.startswith("unix:"):
        check_address(chosen.server)
    options = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
    metadata = []
    if chosen.token_file is not None:
        token = chosen.token_file.read_text(encoding="utf-8").strip()
        metadata = [("authorization", f"Bearer {token}")]
    if chosen.tls_ca is None:
        return grpc.aio.insecure_channel(chosen.server, options), metadata
    credentials = grpc.ssl_channel_credentials(chosen.tls_ca.read_bytes())
    return grpc.aio.secure_channel(chosen.server, credentials, options), metadata


async def replay(chosen: argparse.Namespace) -> dict[str, Any]:
    """Play the chosen stream and compare."""
    entries = read_stream(chosen.file, chosen.stream)
    then = recorded_replies(entries)
    channel, metadata = channel_to(chosen)
    async with channel:
        now = await play(channel, entries, then, speed=chosen.speed, metadata=metadata)
    return report(now, then)


def parser() -> ArgumentParser:
    """The command's options."""
    options = ArgumentParser("c2r replay", __doc__)
    options.add_argument("file", type=Path, help="made by c2r serve --record FILE")
    options.add_argument("--server", default="127.0.0.1:50051", help="HOST:PORT (127.0.0.1:50051)")
    options.add_argument("--stream", type=int, default=1, help="which stream of the recording (1)")
    options.add_argument("--speed", type=float, default=1.0, help="2 is twice as fast (1)")
    options.add_argument("--tls-ca", type=Path, help="PEM of the CA that signed the server")
    options.add_argument("--token-file", type=Path, help="bearer token that the server wants")
    options.add_argument("--json", type=Path, help="write the comparison there")
    return options


def main(arguments: Sequence[str]) -> int:
    """Run the command."""
    chosen = parser().parse_args(arguments)
    if not 0 < chosen.speed < float("inf"):
        raise ValueError(f"--speed {chosen.speed} must be above 0")
    console = Console()
    with Console(stderr=True).status(f"playing {chosen.file} against {chosen.server}"):
        comparison = asyncio.run(replay(chosen))
    console.print(table_of(comparison))
    same = comparison["pictures"]
    if same is None:
        console.print("frames were sent lossy: not compared")
    else:
        console.print(f"{same['equal']} of {same['compared']} frames are equal, bit for bit")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(comparison, indent=2) + "\n", encoding="utf-8")
    return 0
