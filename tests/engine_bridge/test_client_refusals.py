"""Refused sessions: no second attempt, and a text that says what to change."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import grpc
import pytest

from c2r.wire.events import Ended, EndReason
from c2r.wire.formats import Codec, CodecLists
from engine_bridge.client import AsyncRenderClient, State
from tests.engine_bridge.client_rig import (
    HANG_S,
    PATIENCE,
    ClientEvents,
    client_of,
    frame,
    frames,
    kinds,
    options,
    read,
    until,
)
from tests.engine_bridge.mini_server import LIMITS, MiniServer, Script


@pytest.mark.parametrize(
    ("script", "changes", "words"),
    [
        (Script(token="right"), {}, ["UNAUTHENTICATED", "token"]),
        (Script(), {"width": 60, "height": 36}, ["multiple of 16", "64"]),
        (Script(limits=replace(LIMITS, max_width=32)), {}, ["width", "at most 32"]),
        (Script(protocol_major=2), {}, ["protocol 2.0", "update"]),
        (Script(), {"prompt": "x" * 100}, ["prompt", "64"]),
        (
            Script(refuse=(grpc.StatusCode.FAILED_PRECONDITION, "speak protocol 3")),
            {},
            ["speak protocol 3"],
        ),
        (
            Script(refuse=(grpc.StatusCode.RESOURCE_EXHAUSTED, "width: is 64; takes 32")),
            {},
            ["takes 32"],
        ),
    ],
)
def test_a_refusal_is_final_and_says_what_to_change(
    script: Script, changes: dict, words: list[str]
) -> None:
    events = ClientEvents()
    with (
        MiniServer(script) as server,
        client_of(server, events.callbacks, **changes) as client,
    ):
        with pytest.raises(ConnectionError) as refused:
            client.wait_streaming()
        time.sleep(4 * PATIENCE.retry_first_s)
        assert len(server.seen.opens) <= 1, "no second try"
        assert client.status.state is State.FAILED
        assert all(word in str(refused.value) for word in words), str(refused.value)
        assert all(word in client.status.text for word in words)
        assert client.wait_for_room(HANG_S), "nobody waits for a client that has failed"
    assert events.states[-2:] == [State.FAILED, State.CLOSED]


def test_a_failed_client_takes_frames_and_accounts_for_them() -> None:
    with MiniServer(Script(token="right")) as server, client_of(server) as client:
        client.submit(frame(0))
        until(lambda: client.status.state is State.FAILED)
        for one in frames(20, first=1):
            client.submit(one)
        assert kinds(read(client, 21)) == {"unsent": 21}


def test_no_such_service_is_a_refusal() -> None:
    """A gRPC server, but another one."""

    async def play() -> str:
        other = grpc.aio.server()
        port = other.add_insecure_port("127.0.0.1:0")
        await other.start()
        try:
            async with AsyncRenderClient(f"127.0.0.1:{port}", options()) as client:
                with pytest.raises(ConnectionError):
                    await client.wait_streaming()
                return client.status.text
        finally:
            await other.stop(None)

    text = asyncio.run(play())
    assert "UNIMPLEMENTED" in text
    assert "RenderService" in text


def test_a_codec_that_cannot_be_used_here_is_a_refusal() -> None:
    lists = CodecLists(coarse=(Codec.H264,), picture=(Codec.RAW,))
    script = Script(limits=replace(LIMITS, size_multiple=1))
    with MiniServer(script) as server:
        client = client_of(server, width=63, height=31, codecs=lists)
        with client, pytest.raises(ConnectionError, match="even sides"):
            client.wait_streaming()


def test_a_session_taken_over_is_not_taken_back() -> None:
    script = Script(end_after=(1, Ended(EndReason.TAKEN_OVER)))
    with MiniServer(script) as server, client_of(server) as client:
        client.wait_streaming()
        client.submit(frame(0))
        until(lambda: client.status.state is State.FAILED)
        assert "another client" in client.status.text
        assert len(server.seen.opens) == 1


def test_a_server_with_too_many_calls_is_asked_again() -> None:
    """Refused by gRPC itself, and not by the server: it passes."""
    with (
        MiniServer(Script(most_calls=1)) as server,
        client_of(server) as one,
        client_of(server) as other,
    ):
        until(lambda: State.STREAMING in {one.status.state, other.status.state})
        served, refused = (one, other) if one.status.state is State.STREAMING else (other, one)
        until(lambda: refused.status.state is State.RECONNECTING)
        assert "too many calls" in refused.status.text
        served.close()
        refused.wait_streaming()
