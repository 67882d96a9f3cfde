"""A server of hand-made HTTP/2, in every way the protocol allows and some that it does not.

It answers with negatives, like `MiniServer`. One thread per connection, blocking sockets.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from c2r.wire import (
    Accepted,
    CoarseDecoder,
    CoarseFrame,
    Limits,
    OpenRequest,
    RenderedEncoder,
    RenderedFrame,
    default_codecs,
    negotiate,
    pack_response,
    parse_request,
    unpack_request,
)
from c2r.wire.events import ControlAck, ControlChange, Ended, EndReason, EndRequest
from tests.native import http2_frames as h2

GRPC = [(":status", "200"), ("content-type", "application/grpc")]


@dataclass
class Manners:
    """How the server behaves. Sizes in bytes; 0 turns a thing off.

    `window`: the stream's window, given back in steps of `step`. `header_piece`, `data_piece`: the
    largest pieces of header blocks and of data. `act`: called once with the connection after
    `act_after` answers, and may send anything; `greet` instead of everything.
    """

    window: int = 65_535
    step: int = 0
    header_piece: int = 16_000
    data_piece: int = 16_000
    padding: int = 0
    huffman: bool = False
    pings: int = 0
    read_pause_s: float = 0.0
    read_bytes: int = 1 << 16
    in_flight_chunks: int = 2
    act_after: int = 0
    act: Callable[[Connection], object] | None = None
    greet: Callable[[Connection], None] | None = None


@dataclass
class Heard:
    """What clients did."""

    opens: list[OpenRequest] = field(default_factory=list)
    frames: list[CoarseFrame] = field(default_factory=list)
    pongs: int = 0
    resets: int = 0
    connections: int = 0


class HostileServer:
    """Use as a context manager."""

    def __init__(self, manners: Manners | None = None) -> None:
        self.manners = manners or Manners()
        self.heard = Heard()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(5)
        self._socket.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                peer, _ = self._socket.accept()
            except TimeoutError:
                continue
            self.heard.connections += 1
            thread = threading.Thread(target=self._serve, args=(peer,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer: socket.socket) -> None:
        peer.settimeout(0.05)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with peer:
            try:
                Connection(self, peer).run(self._over)
            except OSError:
                return  # the client is gone, as the tests will have seen


class Connection:
    """One client."""

    def __init__(self, server: HostileServer, peer: socket.socket) -> None:
        self.server, self.peer = server, peer
        self.manners, self.heard = server.manners, server.heard
        self.stream = 1
        self.answers = 0
        self._accepted: Accepted | None = None
        self._decoder: Any = None
        self._encoder: Any = None
        self._body = b""
        self._window = 65_535
        self._acted = False
        self._done = False

    def run(self, over: threading.Event) -> None:
        """Until the client leaves or the server is told to stop."""
        if self.manners.greet is not None:
            self._read_some()
            self.manners.greet(self)
            # A socket closed with unread bytes would take back what was sent.
            self.peer.shutdown(socket.SHUT_WR)
            while self._read_some() is not None and not over.is_set():
                continue
            return
        self.send(h2.settings(initial_window_size=self.manners.window))
        data = b""
        while not over.is_set() and not self._done:
            more = self._read_some()
            if more is None:
                return
            data += more
            data = data.removeprefix(h2.PREFACE)
            while len(data) >= 9 and len(data) >= 9 + (size := int.from_bytes(data[:3], "big")):
                self._handle(data[3], data[4], data[9 : 9 + size])
                data = data[9 + size :]

    def send(self, data: bytes) -> None:
        """Raw bytes."""
        self.peer.settimeout(20)
        self.peer.sendall(data)
        self.peer.settimeout(0.05)

    def headers(self, headers: list[tuple[str, str]], *, end: bool = False) -> None:
        """A header block, as the manners cut it."""
        m = self.manners
        self.send(
            h2.header_frames(self.stream, headers, end=end, piece=m.header_piece, huffman=m.huffman)
        )

    def data(self, data: bytes, *, end: bool = False) -> None:
        """DATA frames, as the manners cut and pad them."""
        piece, pad = self.manners.data_piece, self.manners.padding
        out = b""
        for at in range(0, len(data), piece):
            part = data[at : at + piece]
            if pad:
                padded = bytes([pad]) + part + bytes(pad)
                out += h2.frame(h2.DATA, h2.PADDED, self.stream, padded)
            else:
                out += h2.frame(h2.DATA, 0, self.stream, part)
        if end:
            out += h2.frame(h2.DATA, h2.END_STREAM, self.stream)
        self.send(out)

    def say(self, body: Any) -> None:
        """One message."""
        self.data(h2.grpc_message(pack_response(body).SerializeToString()))

    def _read_some(self) -> bytes | None:
        time.sleep(self.manners.read_pause_s)
        try:
            return self.peer.recv(self.manners.read_bytes) or None
        except TimeoutError:
            return b""

    def _handle(self, kind: int, flags: int, payload: bytes) -> None:
        if kind == h2.SETTINGS and not flags & h2.ACK:
            self.send(h2.frame(h2.SETTINGS, h2.ACK, 0))
        elif kind == h2.PING and flags & h2.ACK:
            self.heard.pongs += 1
        elif kind == h2.PING:
            self.send(h2.frame(h2.PING, h2.ACK, 0, payload))
        elif kind == h2.RST_STREAM:
            self.heard.resets += 1
        elif kind == h2.HEADERS:
            self.headers(GRPC)
            for number in range(self.manners.pings):
                self.send(h2.frame(h2.PING, 0, 0, struct.pack(">Q", number)))
        elif kind == h2.DATA:
            self._take(payload)

    def _take(self, payload: bytes) -> None:
        if payload:
            step = self.manners.step or len(payload)
            for at in range(0, len(payload), step):
                size = min(step, len(payload) - at)
                self.send(h2.window_update(0, size) + h2.window_update(self.stream, size))
        self._body += payload
        while len(self._body) >= 5 and len(self._body) >= 5 + (
            size := int.from_bytes(self._body[1:5], "big")
        ):
            message, self._body = self._body[5 : 5 + size], self._body[5 + size :]
            self._answer(unpack_request(parse_request(message)))

    def _answer(self, body: Any) -> None:
        if isinstance(body, OpenRequest):
            self.heard.opens.append(body)
            self._accept(body)
        elif isinstance(body, EndRequest):
            self.say(Ended(EndReason.CLIENT))
            self.headers([("grpc-status", "0")], end=True)
        elif isinstance(body, ControlChange):
            self.say(ControlAck(body.control_id, frame_id=self.answers))
        elif self._decoder is not None and not hasattr(body, "latency_ms"):
            self._render(self._decoder.decode(body))
        self._act()

    def _render(self, frame: CoarseFrame) -> None:
        self.heard.frames.append(frame)
        reply = RenderedFrame(frame.frame_id, frame.capture_time_us, 255 - frame.rgb, self.answers)
        self.data(h2.grpc_message(self._encoder.encode(reply).SerializeToString()))
        self.answers += 1

    def _act(self) -> None:
        act = self.manners.act
        if act is not None and not self._acted and self.answers >= self.manners.act_after:
            self._acted = True
            act(self)

    def _accept(self, request: OpenRequest) -> None:
        accepted = Accepted(
            session_id="hostile",
            width=request.width,
            height=request.height,
            fps=request.fps,
            chunk_latents=1,
            first_chunk_frames=1,
            chunk_frames=4,
            max_in_flight_chunks=self.manners.in_flight_chunks,
            codecs=negotiate(request.codecs, default_codecs(loopback=True)),
            limits=Limits(),
            side_channels=request.side_channels,
            resume_token=b"again",
            resume_grace_s=5.0,
            resumed=bool(request.resume_token),
        )
        self._decoder, self._encoder = CoarseDecoder(accepted), RenderedEncoder(accepted)
        self.say(accepted)
