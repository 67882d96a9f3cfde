"""A client's beginning and end: closing in every state, threads, endpoints, options."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from c2r.wire import WireError
from engine_bridge.client import (
    AsyncRenderClient,
    ClientOptions,
    Endpoint,
    Patience,
    RenderClient,
    State,
    endpoint_from_files,
)
from engine_bridge.client.channel import call_metadata
from engine_bridge.client.supervisor import Backoff
from tests.engine_bridge.client_rig import HANG_S, client_of, frame, frames, kinds, options, until
from tests.engine_bridge.mini_server import MiniServer, Script


def test_closing_a_client_that_was_never_started() -> None:
    client = RenderClient("127.0.0.1:1", options())
    client.close()
    with pytest.raises(RuntimeError):
        client.start()


def test_closing_while_connecting() -> None:
    client = RenderClient("127.0.0.1:1", options())
    client.start()
    client.submit(frame(0))
    client.close(timeout_s=5)
    assert client.status.state is State.CLOSED
    assert kinds(client.results()) == {"unsent": 1}
    client.close()


def test_closing_while_queued() -> None:
    with MiniServer(Script(queue=(3,) * 2000, queue_s=0.05)) as server:
        client = client_of(server)
        client.start()
        until(lambda: client.status.state is State.QUEUED)
        client.close()
    assert client.status.state is State.CLOSED


def test_closing_while_the_server_is_gone() -> None:
    with MiniServer() as server:
        client = client_of(server)
        client.start()
        client.wait_streaming()
        server.stop()
        until(lambda: client.status.state is State.RECONNECTING)
        client.submit(frame(0))
        client.close()
    assert kinds(client.results()) == {"unsent": 1}


def test_closing_a_session_that_does_not_end_is_bounded() -> None:
    with MiniServer(Script(mute=True)) as server:
        client = client_of(server)
        client.start()
        client.wait_streaming()
        for one in frames(12):
            client.submit(one)
        until(lambda: len(server.seen.frames) == 8)
        started = time.monotonic()
        client.close(timeout_s=0.3)
        assert time.monotonic() - started < HANG_S
    assert kinds(client.results()) == {"lost": 8, "unsent": 4}


def test_a_long_close_says_what_it_waits_for(caplog: pytest.LogCaptureFixture) -> None:
    with MiniServer(Script(mute=True)) as server:
        client = client_of(server)
        client.start()
        client.wait_streaming()
        for one in frames(8):
            client.submit(one)
        until(lambda: len(server.seen.frames) == 8)
        client.close(timeout_s=1.2)
    (line,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert f"close() waits at most 0.2 s more for {server.address}" in line
    assert "8 frames without a reply, 0 not sent yet" in line


def test_closing_does_not_wait_for_a_server_that_keeps_the_stream_open() -> None:
    """`Ended` is the server's answer; the stream's status after it may be late or never come."""
    with MiniServer(Script(hold_s=600.0)) as server:
        client = client_of(server)
        client.start()
        client.wait_streaming()
        client.submit(frame(0))
        started = time.monotonic()
        client.close(timeout_s=500.0)
        assert time.monotonic() - started < HANG_S
    assert kinds(client.results()) == {"rendered": 1}
    assert client.status.state is State.CLOSED


def test_closing_a_failed_client() -> None:
    with MiniServer(Script(token="x")) as server:
        client = client_of(server)
        client.start()
        until(lambda: client.status.state is State.FAILED)
        client.close()
        assert client.status.state is State.CLOSED


def test_closing_inside_a_callback_is_refused_and_counted() -> None:
    errors: list[Exception] = []
    with MiniServer() as server:

        def close(_: object) -> None:
            try:
                client.close()
            except RuntimeError as error:
                errors.append(error)

        client = client_of(server, {"on_result": close})
        with client:
            client.wait_streaming()
            client.submit(frame(0))
            until(lambda: errors)
    assert "callback" in str(errors[0])


def test_an_asyncio_client_that_is_cancelled_leaves_nothing_behind() -> None:
    async def play(server: MiniServer) -> set[str]:
        client = AsyncRenderClient(server.address, options())
        await client.start()
        await client.wait_streaming()
        client.submit(frame(0))
        await client.close(discard=True)
        await client.close()
        return {task.get_name() for task in asyncio.all_tasks()}

    with MiniServer() as server:
        left = asyncio.run(play(server))
    assert len(left) == 1, "only the test itself"


def test_twenty_clients_leave_no_thread() -> None:
    with MiniServer() as server:
        _open_and_close(server)
        before = threading.active_count()
        for _ in range(20):
            _open_and_close(server)
        gc.collect()
        until(lambda: threading.active_count() <= before)
        assert not [one for one in threading.enumerate() if one.name == "c2r-client"]


def _open_and_close(server: MiniServer) -> None:
    with client_of(server) as client:
        client.wait_streaming()
        client.submit(frame(0))
    assert kinds(client.results()) == {"rendered": 1}


def test_the_package_needs_no_torch_and_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.modules['torch'] = None; import engine_bridge; "
        "heavy = {'grpc', 'numpy', 'av', 'PIL', 'panda3d'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "from engine_bridge import ClientOptions, CoarseFrame, RenderClient; "
        "from engine_bridge.client import AsyncRenderClient, RenderClient as same; "
        "assert same is RenderClient; "
        "RenderClient('127.0.0.1:1', ClientOptions(64, 32, 16.0)).close(); "
        "assert 'grpc' not in sys.modules; "
        "import engine_bridge.cli.play; "
        "import engine_bridge.sinks.files; "
        "homes = (engine_bridge, engine_bridge.client); "
        "[getattr(home, name) for home in homes for name in home.__all__]"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=root
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("address", "loopback", "host"),
    [
        ("127.0.0.1:50051", True, "127.0.0.1"),
        ("localhost:1", True, "localhost"),
        ("[::1]:50051", True, "::1"),
        ("unix:/tmp/c2r.sock", True, "unix"),
        ("10.0.0.7:50051", False, "10.0.0.7"),
        ("render.example.org:443", False, "render.example.org"),
    ],
)
def test_addresses(address: str, loopback: bool, host: str) -> None:
    endpoint = Endpoint(address)
    assert (endpoint.loopback, endpoint.host) == (loopback, host)


@pytest.mark.parametrize("address", ["localhost", "::1", "host:", "host:http", ""])
def test_an_address_without_a_port_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="no port"):
        Endpoint(address)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("localhost", "no port; write host:port"),
        ("http://localhost:50051", "no host and port; write host:port"),
        (" localhost:50051", "no host and port"),
        ("localhost:0", "ports are 1 to 65535"),
        ("localhost:70000", "ports are 1 to 65535"),
    ],
)
@pytest.mark.parametrize("kind", [RenderClient, AsyncRenderClient])
def test_a_client_takes_an_address_or_says_what_is_wrong_with_it(
    kind: type[RenderClient] | type[AsyncRenderClient], address: str, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        kind(address, options())


def test_a_token_travels_only_over_tls_or_at_home(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret\n", encoding="utf-8")
    home = endpoint_from_files("127.0.0.1:1", token_file=token)
    assert call_metadata(home) == (("authorization", "Bearer s3cret"),)
    assert "s3cret" not in repr(home)
    with pytest.raises(ValueError, match="in the clear"):
        endpoint_from_files("10.0.0.7:1", token_file=token)
    authority = tmp_path / "ca.pem"
    authority.write_bytes(b"PEM")
    away = endpoint_from_files("10.0.0.7:1", token_file=token, tls_ca=authority)
    assert away.tls
    assert away.root_ca == b"PEM"
    with pytest.raises(FileNotFoundError, match="absent"):
        endpoint_from_files("10.0.0.7:1", tls_ca=tmp_path / "absent")
    with pytest.raises(ValueError, match="empty or holds spaces"):
        Endpoint("127.0.0.1:1", token="two words")
    with pytest.raises(ValueError, match="go together"):
        Endpoint("10.0.0.7:1", tls=True, client_cert=b"PEM")
    with pytest.raises(ValueError, match="need TLS"):
        Endpoint("10.0.0.7:1", root_ca=b"PEM")


def test_codecs_fit_the_distance() -> None:
    near = ClientOptions(64, 32, 16).opening(Endpoint("127.0.0.1:1")).codecs
    far = ClientOptions(64, 32, 16).opening(Endpoint("10.0.0.7:1")).codecs
    assert (near.coarse[0], near.picture[0]) == ("raw", "raw")
    assert far.coarse[0] in ("zstd", "lz4")
    assert far.picture[0] == "jpeg"


def test_wrong_options_name_the_field() -> None:
    with pytest.raises(WireError, match="strength"):
        RenderClient(Endpoint("127.0.0.1:1"), options(strength=5.0))
    with pytest.raises(ValueError, match="silence_s"):
        Patience(silence_s=0)


def test_backing_off_grows_and_is_never_in_step() -> None:
    waits = [Backoff(0.25, 8.0) for _ in range(2)]
    plans = [[one.next() for _ in range(12)] for one in waits]
    assert plans[0] != plans[1]
    for plan in plans:
        for index, wait in enumerate(plan):
            full = min(8.0, 0.25 * 2**index)
            assert full / 2 <= wait <= full
    waits[0].reset()
    assert waits[0].next() <= 0.25
