"""The client when things go wrong: refusals, breaks, silence, restarts. Nothing hangs."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import replace

import grpc
import pytest

from c2r.wire import FrameReply
from c2r.wire.events import ControlAck, Ended, EndReason, SessionWarning, WarningCode
from c2r.wire.formats import Codec, CodecLists
from engine_bridge.client.async_client import AsyncRenderClient
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.render_client import RenderClient
from engine_bridge.client.status import State, Status
from tests.engine_bridge.client_rig import (
    PATIENCE,
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
from tests.engine_bridge.mini_server import LIMITS, MiniServer, Script

IMPATIENT = replace(PATIENCE, silence_s=0.3, stuck_s=0.3)


@pytest.fixture
def server() -> Iterator[MiniServer]:
    with MiniServer() as running:
        yield running


class Story:
    """Collects what a client says and gives out."""

    def __init__(self) -> None:
        self.outcomes: list[FrameReply] = []
        self.statuses: list[Status] = []
        self.acks: list[ControlAck] = []
        self.warnings: list[SessionWarning] = []
        self.callbacks = {
            "on_result": self.outcomes.append,
            "on_status": self.statuses.append,
            "on_ack": self.acks.append,
            "on_warning": self.warnings.append,
        }

    @property
    def states(self) -> list[State]:
        return [status.state for status in self.statuses]


# Refusals: no second try, and a text that says what to change.


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
    story = Story()
    with (
        MiniServer(script) as server,
        client_of(server, story.callbacks, **changes) as client,
    ):
        with pytest.raises(ConnectionError) as refused:
            client.wait_streaming(5)
        time.sleep(4 * PATIENCE.retry_first_s)
        assert len(server.seen.opens) <= 1, "no second try"
        assert client.status.state is State.FAILED
        assert all(word in str(refused.value) for word in words), str(refused.value)
        assert all(word in client.status.text for word in words)
        assert client.wait_for_room(5), "nobody waits for a client that has failed"
    assert story.states[-2:] == [State.FAILED, State.CLOSED]


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
        endpoint = Endpoint(f"127.0.0.1:{port}")
        try:
            async with AsyncRenderClient(endpoint, options()) as client:
                with pytest.raises(ConnectionError):
                    await client.wait_streaming(5)
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
            client.wait_streaming(5)


# Breaks: tried again, with everything accounted for.


def test_an_error_of_the_server_costs_frames_and_no_more(server: MiniServer) -> None:
    server.script.break_after = 9
    server.script.delay_s = 0.01
    story = Story()
    with client_of(server, story.callbacks) as client:
        client.wait_streaming(5)
        for one in frames(40):
            client.submit(one)
            time.sleep(0.005)
        until(lambda: client.statistics.counts.rendered > 12)
    assert_each_once(story.outcomes, range(40))
    assert kinds(story.outcomes)["lost"] >= 1
    assert State.RECONNECTING in story.states
    opens = server.seen.opens
    assert [bool(one.resume_token) for one in opens] == [False, True]
    greeting = story.statuses[-2]
    assert greeting.state is State.STREAMING
    assert "the session goes on" in greeting.text
    assert client.statistics.connections == 2


@pytest.mark.parametrize("hang_up", [False, True])
def test_a_stream_that_ends_without_ended_is_tried_again(server: MiniServer, hang_up: bool) -> None:
    server.script.break_after, server.script.hang_up = 5, hang_up
    with client_of(server) as client:
        client.wait_streaming(5)
        got = send_paced(client, frames(5))
        got += read(client, 5 - len(got))
        until(lambda: len(server.seen.opens) == 2 and client.accepted is not None)
        got = send_paced(client, frames(4, first=5))
        got += read(client, 4 - len(got))
        assert kinds(got) == {"rendered": 4}


def test_a_server_killed_and_restarted_is_found_again(server: MiniServer) -> None:
    story = Story()
    with client_of(server, story.callbacks, prompt="noon") as client:
        client.wait_streaming(5)
        change = client.set_control(prompt="night")
        until(lambda: story.acks)
        for index in range(6):  # a first chunk of 1, then one of 4, then one that waits
            client.submit(frame(index))
        until(lambda: len(story.outcomes) == 5)
        server.stop()
        until(lambda: client.status.state is State.RECONNECTING)
        assert client.status.retry_in_s is not None
        assert "next try in" in client.status.text
        for index in range(6, 30):
            client.submit(frame(index))
        unsettled = client.set_control(strength=0.5)
        server.start()
        until(lambda: client.accepted is not None)
        until(lambda: len(story.acks) == 2)
        for index in range(30, 40):
            until(lambda: client.has_room)
            client.submit(frame(index))
    assert_each_once(story.outcomes, range(40))
    numbers = kinds(story.outcomes)
    assert numbers["lost"] == 1
    assert numbers["unsent"] == 23, "one of those submitted meanwhile was the newest, and went"
    assert kind(story.outcomes[29]) == "rendered"
    assert [ack.control_id for ack in story.acks] == [change, unsettled]
    first, *_, last = server.seen.opens
    assert (first.prompt, last.prompt) == ("noon", "night"), "what was in force is asked for again"
    assert last.resume_token
    assert last.seed == 7, "the seed that the first server drew"
    again = [status for status in story.statuses if status.state is State.STREAMING][-1]
    assert "connected again" in again.text
    assert "began anew" in again.text
    assert "1 frames were lost" in again.text
    assert [one.code for one in story.warnings] == [WarningCode.RESTARTED]


def test_garbage_from_the_server_ends_the_connection_not_the_client(server: MiniServer) -> None:
    server.script.garbage_after = 5
    story = Story()
    with client_of(server, story.callbacks) as client:
        client.wait_streaming(5)
        for one in frames(5):
            client.submit(one)
        until(lambda: len(server.seen.opens) == 2 and client.accepted is not None)
        client.submit(frame(5))
        until(lambda: len(story.outcomes) >= 5)
    assert_each_once(story.outcomes, range(6))
    texts = [one.text for one in story.statuses if one.state is State.RECONNECTING]
    assert "contract" in texts[0]


def test_a_session_that_the_server_ends_is_opened_anew(server: MiniServer) -> None:
    ended = Ended(EndReason.SHUTDOWN, "the server stops for an update", resumable=False)
    server.script.end_after = (5, ended)
    story = Story()
    with client_of(server, story.callbacks) as client:
        client.wait_streaming(5)
        for one in frames(5):
            client.submit(one)
        until(lambda: State.RECONNECTING in story.states)
        server.script.end_after = None
        until(lambda: len(server.seen.opens) >= 2 and client.accepted is not None)
    assert not server.seen.opens[-1].resume_token
    texts = [one.text for one in story.statuses if one.state is State.RECONNECTING]
    assert "update" in texts[0]


def test_a_session_taken_over_is_not_fought_for(server: MiniServer) -> None:
    server.script.end_after = (1, Ended(EndReason.TAKEN_OVER))
    with client_of(server) as client:
        client.wait_streaming(5)
        client.submit(frame(0))
        until(lambda: client.status.state is State.FAILED)
        assert "another client" in client.status.text
    assert len(server.seen.opens) == 1


# Silence.


def test_a_silent_server_is_left_and_memory_stays_bounded(server: MiniServer) -> None:
    server.script.mute = True
    story = Story()
    with client_of(server, story.callbacks, patience=IMPATIENT) as client:
        client.wait_streaming(5)
        for index in range(400):
            client.submit(frame(index))
            time.sleep(0.002)
        account = client._client._record.account
        assert len(account._waiting) <= 9
        assert len(account._in_flight) <= 8
        until(lambda: State.RECONNECTING in story.states)
        server.script.mute = False
        index = 400
        while not client.statistics.counts.rendered:
            assert index < 2000, "no picture came"
            client.submit(frame(index))
            index += 1
            time.sleep(0.005)
    assert_each_once(story.outcomes, range(index))
    assert kinds(story.outcomes)["lost"] >= 8
    texts = [one.text for one in story.statuses if one.state is State.RECONNECTING]
    assert any("nothing came from the server" in text for text in texts)


def test_a_server_that_only_says_that_it_lives_is_left_too() -> None:
    script = Script(chunk_latents=8, in_flight_chunks=1, keepalive_s=0.05, window=4)
    story = Story()
    with (
        MiniServer(script) as server,
        client_of(server, story.callbacks, patience=IMPATIENT) as client,
    ):
        client.wait_streaming(5)
        for one in frames(6):
            client.submit(one)
        until(lambda: State.RECONNECTING in story.states)
    texts = [one.text for one in story.statuses if one.state is State.RECONNECTING]
    assert "answered no frame" in texts[0]


def test_a_game_that_pauses_in_mid_chunk_keeps_its_connection(server: MiniServer) -> None:
    server.script.chunk_latents = 3
    story, patience = Story(), replace(IMPATIENT, silence_s=10.0)  # a busy machine is silent, too
    with client_of(server, story.callbacks, patience=patience) as client:
        client.wait_streaming(5)
        for one in frames(5):
            client.submit(one)
        time.sleep(4 * IMPATIENT.stuck_s)
        assert client.status.state is State.STREAMING
    assert State.RECONNECTING not in story.states
    assert kinds(story.outcomes) == {"rendered": 5}


def test_a_server_that_never_accepts_is_left(server: MiniServer) -> None:
    server.script.mute_before_accept = True
    with client_of(server, patience=IMPATIENT) as client:
        until(lambda: client.status.state is State.RECONNECTING)
        server.script.mute_before_accept = False
        client.wait_streaming(5)


def test_a_port_that_takes_connections_and_says_nothing_is_left() -> None:
    """The far end has frozen: TCP answers, nobody reads."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        endpoint = Endpoint(f"127.0.0.1:{listener.getsockname()[1]}")
        with RenderClient(endpoint, options(patience=IMPATIENT)) as client:
            client.submit(frame(0))
            until(lambda: client.status.state is State.RECONNECTING)
            assert client.accepted is None
        assert kinds(client.results()) == {"unsent": 1}


def test_no_server_at_all_is_tried_until_patience_ends() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    endpoint = Endpoint(f"127.0.0.1:{port}")
    patience = replace(PATIENCE, give_up_s=0.4)
    with RenderClient(endpoint, options(patience=patience)) as client:
        until(lambda: client.status.state is State.RECONNECTING)
        with pytest.raises(ConnectionError, match="c2r serve"):
            client.wait_streaming(5)
        assert client.status.state is State.FAILED


def test_waiting_for_a_session_ends_in_time() -> None:
    endpoint = Endpoint("127.0.0.1:1")
    with (
        RenderClient(endpoint, options()) as client,
        pytest.raises(ConnectionError, match=r"127\.0\.0\.1:1"),
    ):
        client.wait_streaming(0.3)


def test_a_full_server_queues_the_client(server: MiniServer) -> None:
    server.script.queue, server.script.queue_s = (2, 1), 0.1
    story = Story()
    with client_of(server, story.callbacks) as client:
        client.submit(frame(0))
        client.wait_streaming(5)
        until(lambda: story.outcomes)
    queued = [one for one in story.statuses if one.state is State.QUEUED]
    assert [one.queue_position for one in queued] == [2, 1]
    assert "place 2" in queued[0].text
    assert kinds(story.outcomes) == {"rendered": 1}


@pytest.mark.parametrize("seed", range(3))
def test_every_frame_is_accounted_for_in_any_storm(seed: int) -> None:
    """Breaks, garbage, spoilt pictures and a restart, while frames keep coming."""
    script = Script(
        delay_s=0.005,
        break_after=7 + seed,
        hang_up=seed == 1,
        spoil=frozenset({11, 30}),
        garbage_after=40,
    )
    story = Story()
    with MiniServer(script) as server, client_of(server, story.callbacks) as client:
        for index in range(300):
            client.submit(frame(index))
            time.sleep(0.002)
            if index == 150:
                server.stop()
            if index == 180:
                server.start()
        until(lambda: client.accepted is not None)
    assert_each_once(story.outcomes, range(300))
    counts = client.statistics.counts
    assert counts.submitted == counts.rendered + counts.failed + sum(counts.dropped.values()) == 300
    assert counts.rendered > 0
