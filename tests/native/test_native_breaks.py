"""The native client when something goes wrong: breaks, refusals, timeouts, and coming back."""

from __future__ import annotations

import grpc
import pytest

from c2r.wire import ErrorCode
from c2r.wire.events import Ended, EndReason, SessionWarning, WarningCode
from engine_bridge.client.status import State
from tests.engine_bridge.client_rig import assert_each_once, frame, frames, kinds
from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native.native_rig import native, patience, play, until, until_state


def test_a_broken_stream_is_resumed_and_its_frames_are_lost():
    with MiniServer(Script(break_after=8)) as server, native(server.address) as client:
        client.wait_streaming()
        outcomes = play(client, frames(36))
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(36))
    assert set(kinds(outcomes)) <= {"rendered", "lost"}
    assert server.seen.opens[1].resume_token == b"token 1"
    assert client.statistics.connections == 2


def test_a_server_that_dies_and_comes_back():
    with MiniServer() as server, native(server.address) as client:
        until_state(client, State.STREAMING)
        outcomes = play(client, frames(10))
        server.stop()
        assert server.address in until_state(client, State.RECONNECTING)
        for one in frames(10, 10):
            client.submit(one)
        server.start()
        assert "connected again" in until_state(client, State.STREAMING)
        outcomes += play(client, frames(10, 20))
        client.request_close()
        outcomes += client.results()
        warnings = [one for one in client.events() if isinstance(one, SessionWarning)]
    assert [one.code for one in warnings] == [WarningCode.RESTARTED]
    assert_each_once(outcomes, range(30))


def test_a_wrong_token_is_refused_for_good():
    with MiniServer(Script(token="right")) as server:
        with native(server.address, token="wrong") as client:
            text = until_state(client, State.FAILED)
            assert "UNAUTHENTICATED" in text
            assert "token" in text
            client.submit(frame(0))
            assert kinds(client.poll()) == {"unsent": 1}
        with native(server.address, token="right") as client:
            client.wait_streaming()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (Script(protocol_major=2), "protocol 2.0"),
        (Script(refuse=(grpc.StatusCode.FAILED_PRECONDITION, "100 % früh\n")), "100 % früh"),
    ],
)
def test_refusals_say_why(script: Script, said: str):
    with MiniServer(script) as server, native(server.address) as client:
        assert said in until_state(client, State.FAILED)
        with pytest.raises(ConnectionError):
            client.wait_streaming()


def test_a_wrong_size_is_refused():
    with MiniServer() as server, native(server.address, width=72) as client:
        text = until_state(client, State.FAILED)
    assert "width" in text
    assert "multiple of 16" in text


def test_a_silent_server_is_left():
    hasty = patience(silence_s=0.3)
    with MiniServer(Script(mute=True)) as server, native(server.address, patience=hasty) as client:
        until_state(client, State.STREAMING)
        assert "nothing came" in until_state(client, State.RECONNECTING)


def test_a_stuck_server_is_left_and_every_frame_has_its_outcome():
    hasty, script = patience(stuck_s=0.4), Script(delay_s=60.0)
    with MiniServer(script) as server, native(server.address, patience=hasty) as client:
        until_state(client, State.STREAMING)
        for one in frames(12):
            client.submit(one)
        assert "answered no frame" in until_state(client, State.RECONNECTING)
        client.close(discard=True, timeout_s=0.1)
        assert len(list(client.results())) == 12


def test_garbage_from_the_server_breaks_only_the_connection():
    with MiniServer(Script(garbage_after=3)) as server, native(server.address) as client:
        client.wait_streaming()
        outcomes = play(client, frames(30))
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(30))
    assert client.statistics.connections == 2


def test_a_spoilt_picture_fails_alone():
    with MiniServer(Script(spoil=frozenset({4}))) as server, native(server.address) as client:
        client.wait_streaming()
        outcomes = play(client, frames(9))
        client.close()
        outcomes += client.results()
    assert kinds(outcomes) == {"rendered": 8, "failed": 1}
    failed = outcomes[4]
    assert failed.fault.code is ErrorCode.MALFORMED
    assert failed.fault.field.startswith("rendered.picture")


def test_after_an_end_that_cannot_be_resumed_a_new_session_is_opened():
    ended = Ended(EndReason.IDLE, "too idle", resumable=False)
    with MiniServer(Script(end_after=(2, ended))) as server, native(server.address) as client:
        client.wait_streaming()
        for one in frames(8):
            client.submit(one)
        until(lambda: len(server.seen.opens) == 2)
        server.script.end_after = None
    assert server.seen.opens[1].resume_token == b""


def test_a_session_that_was_taken_over_is_given_up():
    ended = Ended(EndReason.TAKEN_OVER, "elsewhere", resumable=True)
    with MiniServer(Script(end_after=(1, ended))) as server, native(server.address) as client:
        client.wait_streaming()
        client.submit(frame(0))
        assert "took this session over" in until_state(client, State.FAILED)


def test_giving_up_says_what_to_do():
    with native("127.0.0.1:1", patience=patience(give_up_s=0.3)) as client:
        assert "c2r serve" in until_state(client, State.FAILED)
