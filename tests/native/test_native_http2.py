"""The native client against servers that use all of HTTP/2, and some that break it."""

from __future__ import annotations

import struct
import threading
from typing import Any

import pytest

from engine_bridge.client.status import State
from tests.engine_bridge.client_rig import assert_each_once, frame, frames, kind, kinds
from tests.engine_bridge.mini_server import MiniServer, Script
from tests.native import http2_frames as h2
from tests.native.hostile_server import GRPC, Connection, HostileServer, Manners
from tests.native.native_client import HANG_S, NativeClient
from tests.native.native_rig import native, patience, play, until, until_state
from tests.native.slow_link import SlowLink


def play_all(address: str, count: int, **changes: Any) -> tuple[list[Any], NativeClient]:
    """A whole session; all outcomes, and the closed client."""
    with native(address, **changes) as client:
        client.wait_streaming()
        outcomes = play(client, frames(count))
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(count))
    return outcomes, client


@pytest.mark.parametrize(
    "manners",
    [
        Manners(window=50, step=7),
        Manners(window=1000, step=1000),
        Manners(header_piece=6),
        Manners(huffman=True),
        Manners(huffman=True, header_piece=5),
        Manners(data_piece=1),
        Manners(data_piece=700, padding=255),
        Manners(pings=200),
        Manners(read_pause_s=0.01, read_bytes=4096),
    ],
    ids=lambda manners: ",".join(
        f"{name}={value}"
        for name, value in vars(manners).items()
        if value != getattr(Manners(), name)
    ),
)
def test_every_way_of_the_protocol_is_understood(manners: Manners):
    with HostileServer(manners) as server:
        outcomes, client = play_all(server.address, 12)
        assert kinds(outcomes) == {"rendered": 12}
        assert all((one.rgb == 255 - frame(one.frame_id).rgb).all() for one in outcomes)
        assert client.statistics.connections == 1
        assert server.heard.pongs == manners.pings


def test_the_newest_frame_wins_while_the_server_reads_nothing():
    """After its first answer the server reads no more until the gate opens."""
    gate = threading.Event()
    manners = Manners(act=lambda peer: gate.wait(HANG_S), act_after=1, in_flight_chunks=1)
    with HostileServer(manners) as server, native(server.address) as client:
        client.wait_streaming()
        client.submit(frame(0))
        outcomes = [next(client.results())]
        for one in frames(4, 1):
            client.submit(one)
        until(lambda: client.statistics.sent == 5)
        for one in frames(55, 5):
            client.submit(one)
        gate.set()
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(60))
    assert kinds(outcomes) == {"rendered": 6, "unsent": 54}
    assert kind(outcomes[-1]) == "rendered"


def test_a_flood_of_continuations_breaks_the_connection():
    with HostileServer(Manners(header_piece=1)) as server, native(server.address) as client:
        assert "HTTP/2" in until_state(client, State.RECONNECTING)


def trailers(status: int, message: str, **how: Any):
    def act(peer: Connection) -> None:
        peer.headers([("grpc-status", str(status)), ("grpc-message", message)], end=True)

    return act


def goaway_all(peer: Connection) -> None:
    peer.send(h2.goaway(0, 11, b"too_many_pings"))


def goaway_gently(peer: Connection) -> None:
    peer.send(h2.goaway(1, 0, b"later"))


def reset(code: int):
    return lambda peer: peer.send(h2.rst_stream(peer.stream, code))


def bad_frame(peer: Connection) -> None:
    peer.send(h2.frame(h2.DATA, 0, 0, b"on stream 0"))


def cut_message(peer: Connection) -> None:
    peer.data(h2.grpc_message(b"half", size=100))
    peer.headers([("grpc-status", "0")], end=True)


def compressed_message(peer: Connection) -> None:
    peer.data(h2.grpc_message(b"\x08", compressed=True))


def noise(peer: Connection) -> None:
    peer.send(bytes(range(256)) * 8)


def hang_up(peer: Connection) -> None:
    peer.peer.close()


@pytest.mark.parametrize(
    "act",
    [
        trailers(13, "the renderer failed"),
        trailers(14, "disk full: No space left on device"),
        goaway_all,
        reset(0),
        reset(2),
        reset(7),
        bad_frame,
        cut_message,
        compressed_message,
        noise,
        hang_up,
    ],
    ids=[
        "internal", "unavailable", "goaway", "reset-0", "reset-2", "reset-7", "bad-frame",
        "cut", "compressed", "noise", "hang-up",
    ],
)  # fmt: skip
def test_after_a_break_in_the_middle_the_session_is_resumed(act: Any):
    manners = Manners(act=act, act_after=4)
    with HostileServer(manners) as server, native(server.address) as client:
        until_state(client, State.STREAMING)
        for one in frames(4):
            client.submit(one)
        until_state(client, State.RECONNECTING)
        manners.act = None
        until_state(client, State.STREAMING)
        outcomes = play(client, frames(10, 4))
        client.close()
        outcomes += client.results()
    assert_each_once(outcomes, range(14))
    assert set(kinds(outcomes)) <= {"rendered", "lost"}
    assert server.heard.opens[-1].resume_token == b"again"


def test_a_gentle_goaway_lets_the_stream_finish():
    with HostileServer(Manners(act=goaway_gently, act_after=3)) as server:
        outcomes, client = play_all(server.address, 10)
    assert kinds(outcomes) == {"rendered": 10}
    assert client.statistics.connections == 1


@pytest.mark.parametrize(
    ("status", "message", "said"),
    [
        (3, "open.width: is 72%3B fr%C3%BCher %25", "is 72; früher %"),
        (16, "send the token", "UNAUTHENTICATED"),
        (12, "", "RenderService"),
        (8, "the server is full", "RESOURCE_EXHAUSTED: the server is full"),
    ],
)
def test_trailers_alone_refuse_and_say_why(status: int, message: str, said: str):
    def refuse(peer: Connection) -> None:
        peer.send(h2.settings())
        peer.headers([*GRPC, ("grpc-status", str(status)), ("grpc-message", message)], end=True)

    with HostileServer(Manners(greet=refuse)) as server, native(server.address) as client:
        assert said in until_state(client, State.FAILED)


def test_too_many_calls_at_once_are_asked_again():
    """Refused by gRPC itself, and not by the server: it passes."""
    said = "Concurrent RPC limit exceeded!"

    def refuse(peer: Connection) -> None:
        peer.send(h2.settings())
        peer.headers([*GRPC, ("grpc-status", "8"), ("grpc-message", said)], end=True)

    with HostileServer(Manners(greet=refuse)) as server, native(server.address) as client:
        assert said in until_state(client, State.RECONNECTING)


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak HTTP/2"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "does not speak HTTP/2"),
        (b"", "closed the connection"),
        (struct.pack(">I", 0xFFFFFF) * 64, "does not speak HTTP/2"),
    ],
)
def test_what_is_no_http2_server_is_told(answer: bytes, said: str):
    manners = Manners(greet=lambda peer: peer.send(answer))
    with HostileServer(manners) as server, native(server.address) as client:
        assert said in until_state(client, State.RECONNECTING)


@pytest.mark.parametrize(
    ("headers", "said", "state"),
    [
        ([(":status", "503")], "HTTP status 503", State.RECONNECTING),
        ([(":status", "404")], "HTTP status 404", State.FAILED),
        ([(":status", "200"), ("content-type", "text/html")], "no gRPC server", State.FAILED),
    ],
)
def test_an_http_server_without_grpc_is_told(
    headers: list[tuple[str, str]], said: str, state: State
):
    def answer(peer: Connection) -> None:
        peer.send(h2.settings())
        peer.headers(headers, end=True)

    with HostileServer(Manners(greet=answer)) as server, native(server.address) as client:
        assert said in until_state(client, state)


def test_a_message_beyond_the_session_is_not_even_read():
    def large(peer: Connection) -> None:
        peer.data(h2.grpc_message(b"", size=1 << 30))

    manners = Manners(act=large, act_after=1)
    with HostileServer(manners) as server, native(server.address) as client:
        client.wait_streaming()
        client.submit(frame(0))
        assert "larger than" in until_state(client, State.RECONNECTING)


def test_a_silent_connection_is_broken_and_pictures_come_again():
    with (
        MiniServer() as server,
        SlowLink(server.address, 0.0) as link,
        native(link.address, patience=patience(silence_s=0.5)) as client,
    ):
        until_state(client, State.STREAMING)
        link.stall()
        assert "nothing came" in until_state(client, State.RECONNECTING)
        link.stall(False)
        sent = frames(1 << 20)

        def rendered() -> bool:
            # On a busy machine half a second of silence may break this connection too.
            client.submit(next(sent))
            return kinds(client.poll())["rendered"] > 0

        until(rendered)
        client.close(discard=True)


def test_a_link_of_thirty_milliseconds_loses_nothing():
    script = Script(in_flight_chunks=8)
    with MiniServer(script) as server, SlowLink(server.address, 0.015) as link:
        outcomes, client = play_all(link.address, 200)
    assert kinds(outcomes) == {"rendered": 200}
    assert client.statistics.latency_p50_ms >= 30.0


def test_the_connection_is_refused_until_a_server_comes():
    with MiniServer() as server:
        server.stop()
        with native(server.address) as client:
            assert "refused" in until_state(client, State.RECONNECTING).lower()
            server.start()
            client.wait_streaming()
