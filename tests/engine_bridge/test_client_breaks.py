"""Broken connections: tried again, said once, and every frame accounted for."""

from __future__ import annotations

import logging
import socket
import time
from dataclasses import replace

import pytest

from c2r.wire.events import Ended, EndReason, WarningCode
from engine_bridge.client import RenderClient, State
from tests.engine_bridge.client_rig import (
    PATIENCE,
    ClientEvents,
    assert_each_once,
    client_of,
    frame,
    frames,
    kind,
    kinds,
    options,
    read,
    send_paced,
    until,
)
from tests.engine_bridge.mini_server import MiniServer, Script


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the log says of the connection; warnings that the server sends are another matter."""
    lines = [one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING]
    return [line for line in lines if not line.startswith("the server warns")]


def test_a_client_that_cannot_connect_says_so_once_and_again_when_it_can(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with MiniServer() as server:
        address = server.address
        server.stop()
        with RenderClient(address, options()) as client:
            until(lambda: client.status.state is State.RECONNECTING)
            assert address in client.status.text
            assert "UNAVAILABLE" in client.status.text
            assert client.status.retry_in_s is not None
            until(lambda: warnings_of(caplog))
            time.sleep(4 * PATIENCE.retry_most_s)  # more attempts, which are not logged
            (failure,) = warnings_of(caplog)
            assert address in failure
            assert "UNAVAILABLE" in failure
            server.start()
            client.wait_streaming()
            assert client.status.text.startswith(f"connected to {address} after")
            until(lambda: len(warnings_of(caplog)) == 2)
            assert address in warnings_of(caplog)[1]
    assert len(warnings_of(caplog)) == 2


def test_a_lost_connection_is_logged_once_and_its_return_too(
    server: MiniServer, caplog: pytest.LogCaptureFixture
) -> None:
    with client_of(server) as client:
        client.wait_streaming()
        assert warnings_of(caplog) == []
        server.stop()
        until(lambda: client.status.state is State.RECONNECTING)
        time.sleep(4 * PATIENCE.retry_most_s)
        server.start()
        until(lambda: len(warnings_of(caplog)) == 2)
        lost, found = warnings_of(caplog)
        assert f"no connection to {server.address}" in lost
        assert f"connected again to {server.address}" in found


def test_a_status_callback_takes_the_place_of_warnings(caplog: pytest.LogCaptureFixture) -> None:
    events = ClientEvents()
    with MiniServer() as server:
        server.stop()
        with client_of(server, events.callbacks):
            until(lambda: events.outages)
    assert warnings_of(caplog) == []


def test_a_server_that_does_not_answer_is_reported_while_the_client_waits(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("engine_bridge.client.supervisor.SLOW_S", 0.05)
    with MiniServer(Script(mute_before_accept=True)) as server, client_of(server) as client:
        until(lambda: warnings_of(caplog))
        assert client.status.state is State.CONNECTING
        assert f"no answer from {server.address}" in client.status.text
    (line,) = warnings_of(caplog)
    assert server.address in line


def test_an_error_of_the_server_costs_the_frames_in_flight(server: MiniServer) -> None:
    server.script.mute, server.script.break_after = True, 5
    events = ClientEvents()
    with client_of(server, events.callbacks) as client:
        client.wait_streaming()
        for one in frames(8):
            client.submit(one)
        until(lambda: len(server.seen.frames) == 8)
        server.script.mute = False  # chunks of 1 and 4 are answered, then the call fails
        until(lambda: client.statistics.connections == 2)
        for one in frames(12, first=8):
            until(lambda: client.has_room)
            client.submit(one)
    assert_each_once(events.outcomes, range(20))
    numbers = kinds(events.outcomes)
    assert numbers["rendered"] + numbers["lost"] == 20
    assert 3 <= numbers["lost"] <= 8, "gRPC may discard answers that came just before the error"
    assert State.RECONNECTING in events.states
    opens = server.seen.opens
    assert [bool(one.resume_token) for one in opens] == [False, True]
    greeting = events.statuses[-2]
    assert greeting.state is State.STREAMING
    assert "the session goes on" in greeting.text


@pytest.mark.parametrize("hang_up", [False, True])
def test_a_stream_that_ends_without_ended_is_tried_again(server: MiniServer, hang_up: bool) -> None:
    server.script.break_after, server.script.hang_up = 5, hang_up
    with client_of(server) as client:
        client.wait_streaming()
        outcomes = send_paced(client, frames(5))
        outcomes += read(client, 5 - len(outcomes))
        until(lambda: len(server.seen.opens) == 2 and client.accepted is not None)
        outcomes = send_paced(client, frames(4, first=5))
        outcomes += read(client, 4 - len(outcomes))
        assert kinds(outcomes) == {"rendered": 4}


def test_a_server_killed_and_restarted_is_found_again(server: MiniServer) -> None:
    events = ClientEvents()
    with client_of(server, events.callbacks, prompt="noon") as client:
        client.wait_streaming()
        change = client.set_control(prompt="night")
        until(lambda: events.acks)
        for index in range(6):  # a first chunk of 1, then one of 4, then one that waits
            client.submit(frame(index))
        until(lambda: len(events.outcomes) == 5)
        server.stop()
        until(lambda: events.outages)
        assert events.outages[0].retry_in_s is not None
        assert "next try in" in events.outages[0].text
        for index in range(6, 30):
            client.submit(frame(index))
        unsettled = client.set_control(strength=0.5)
        server.start()
        until(lambda: client.accepted is not None)
        until(lambda: len(events.acks) == 2)
        for index in range(30, 40):
            until(lambda: client.has_room)
            client.submit(frame(index))
    assert_each_once(events.outcomes, range(40))
    numbers = kinds(events.outcomes)
    assert numbers["lost"] == 1
    assert numbers["unsent"] == 23, "one of those submitted meanwhile was the newest, and went"
    assert kind(events.outcomes[29]) == "rendered"
    assert [ack.control_id for ack in events.acks] == [change, unsettled]
    first, *_, last = server.seen.opens
    assert (first.prompt, last.prompt) == ("noon", "night"), (
        "acknowledged changes are asked for again"
    )
    assert last.resume_token
    assert last.seed == 7, "the seed that the first server drew"
    again = [status for status in events.statuses if status.state is State.STREAMING][-1]
    assert "connected again" in again.text
    assert "has reset the stream" in again.text
    assert "1 frames were lost" in again.text
    assert [one.code for one in events.warnings] == [WarningCode.RESTARTED]


def test_garbage_from_the_server_ends_the_connection_not_the_client(server: MiniServer) -> None:
    server.script.garbage_after = 5
    events = ClientEvents()
    with client_of(server, events.callbacks) as client:
        client.wait_streaming()
        for one in frames(5):
            client.submit(one)
        until(lambda: len(server.seen.opens) == 2 and client.accepted is not None)
        client.submit(frame(5))
        until(lambda: len(events.outcomes) >= 5)
    assert_each_once(events.outcomes, range(6))
    texts = [one.text for one in events.outages]
    assert "contract" in texts[0]


def test_a_session_that_the_server_ends_is_opened_again(server: MiniServer) -> None:
    ended = Ended(EndReason.SHUTDOWN, "the server stops for an update", resumable=False)
    server.script.end_after = (5, ended)
    events = ClientEvents()
    with client_of(server, events.callbacks) as client:
        client.wait_streaming()
        for one in frames(5):
            client.submit(one)
        until(lambda: State.RECONNECTING in events.states)
        server.script.end_after = None
        until(lambda: len(server.seen.opens) >= 2 and client.accepted is not None)
    assert not server.seen.opens[-1].resume_token
    texts = [one.text for one in events.outages]
    assert "update" in texts[0]


def test_no_server_at_all_is_tried_until_patience_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    events, patience = ClientEvents(), replace(PATIENCE, give_up_s=0.4)
    client = RenderClient(
        f"127.0.0.1:{port}", options(patience=patience), on_status=events.statuses.append
    )
    with client:
        with pytest.raises(ConnectionError, match="c2r serve"):
            client.wait_streaming()
        assert client.status.state is State.FAILED
    assert State.RECONNECTING in events.states


def test_waiting_for_a_session_ends_in_time() -> None:
    with (
        RenderClient("127.0.0.1:1", options()) as client,
        pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1"),
    ):
        client.wait_streaming(0.3)


@pytest.mark.parametrize("seed", range(3))
def test_every_frame_is_accounted_for_in_any_storm(seed: int) -> None:
    """Breaks, garbage, undecodable payloads and a restart, while frames keep coming."""
    script = Script(
        delay_s=0.005,
        break_after=7 + seed,
        hang_up=seed == 1,
        spoil=frozenset({11, 30}),
        garbage_after=40,
    )
    events = ClientEvents()
    with MiniServer(script) as server, client_of(server, events.callbacks) as client:
        for index in range(300):
            client.submit(frame(index))
            time.sleep(0.002)
            if index == 150:
                until(lambda: client.statistics.counts.rendered > 0)
                server.stop()
            if index == 180:
                server.start()
        until(lambda: client.accepted is not None)
    assert_each_once(events.outcomes, range(300))
    counts = client.statistics.counts
    assert counts.submitted == counts.rendered + counts.failed + sum(counts.dropped.values()) == 300
    assert counts.rendered > 0
