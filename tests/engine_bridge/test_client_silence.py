"""Servers that are silent, stuck or full: left when they should be, and not before."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import replace

from engine_bridge.client import RenderClient, State
from tests.engine_bridge.client_rig import (
    PATIENCE,
    ClientEvents,
    assert_each_once,
    client_of,
    frame,
    frames,
    kinds,
    options,
    until,
)
from tests.engine_bridge.mini_server import MiniServer, Script

QUICK_S = 0.3
SILENCE, STUCK = replace(PATIENCE, silence_s=QUICK_S), replace(PATIENCE, stuck_s=QUICK_S)


def test_a_silent_server_is_left_and_memory_stays_bounded(server: MiniServer) -> None:
    server.script.mute = True
    events, count = ClientEvents(), 0

    def submit_until(done: Callable[[], object]) -> None:
        def submit() -> object:
            nonlocal count
            client.submit(frame(count))
            count += 1
            return done()

        until(submit)

    with client_of(server, events.callbacks, patience=SILENCE) as client:
        account = client._client._record.account
        submit_until(lambda: len(server.seen.frames) >= 8 and events.outages)
        assert len(account._waiting) <= 9
        assert len(account._in_flight) <= 8
        server.script.mute = False
        submit_until(lambda: client.statistics.counts.rendered)
    assert_each_once(events.outcomes, range(count))
    assert kinds(events.outcomes)["lost"] >= 8
    assert any("nothing came from the server" in one.text for one in events.outages)


def test_a_server_that_only_says_that_it_lives_is_left_too() -> None:
    script = Script(chunk_latents=8, in_flight_chunks=1, keepalive_s=0.05, window=4)
    events = ClientEvents()
    with (
        MiniServer(script) as server,
        client_of(server, events.callbacks, patience=STUCK) as client,
    ):
        client.wait_streaming()
        for one in frames(6):
            client.submit(one)
        until(lambda: State.RECONNECTING in events.states)
    texts = [one.text for one in events.outages]
    assert "answered no frame" in texts[0]


def test_a_game_that_pauses_in_mid_chunk_keeps_its_connection(server: MiniServer) -> None:
    server.script.chunk_latents = 3
    events = ClientEvents()
    with client_of(server, events.callbacks, patience=STUCK) as client:
        client.wait_streaming()
        for one in frames(5):
            client.submit(one)
        time.sleep(4 * QUICK_S)
        assert client.status.state is State.STREAMING
    assert State.RECONNECTING not in events.states
    assert kinds(events.outcomes) == {"rendered": 5}


def test_a_server_that_never_accepts_is_left(server: MiniServer) -> None:
    server.script.mute_before_accept = True
    with client_of(server, patience=SILENCE) as client:
        until(lambda: client.status.state is State.RECONNECTING)
        server.script.mute_before_accept = False
        client.wait_streaming()


def test_a_port_that_takes_connections_and_says_nothing_is_left() -> None:
    """The far end has frozen: TCP answers, nobody reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        with RenderClient(address, options(patience=SILENCE)) as client:
            client.submit(frame(0))
            until(lambda: client.status.state is State.RECONNECTING)
            assert client.accepted is None
        assert kinds(client.results()) == {"unsent": 1}


def test_a_full_server_queues_the_client(server: MiniServer) -> None:
    server.script.queue, server.script.queue_s = (2, 1), 0.1
    events = ClientEvents()
    with client_of(server, events.callbacks) as client:
        client.submit(frame(0))
        client.wait_streaming()
        until(lambda: events.outcomes)
    queued = [one for one in events.statuses if one.state is State.QUEUED]
    assert [one.queue_position for one in queued] == [2, 1]
    assert "place 2" in queued[0].text
    assert kinds(events.outcomes) == {"rendered": 1}
