"""The native client, as game engines use it, from Python: a second engine-side client.

Same endpoints, options, frames and replies as `RenderClient`; gRPC itself is not needed.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from c2r.wire import (
    CoarseFrame,
    DroppedFrame,
    DropReason,
    ErrorCode,
    FailedFrame,
    Fault,
    FrameReply,
    RenderedFrame,
)
from c2r.wire.enum_map import known_members, member_of, number_of
from c2r.wire.events import ControlAck, SessionWarning, WarningCode
from c2r.wire.formats import Codec
from c2r.wire.replies import StageTimes
from engine_bridge.client.account import Counts
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.options import ClientOptions, Patience
from engine_bridge.client.statistics import ClientStatistics, Percentiles
from engine_bridge.client.status import State, Status
from tests.native import native_abi as abi

_OK, _ARGUMENT = 0, -1
_RENDERED, _DROPPED = 1, 2
_WARNING, _ACK = 2, 3
_POLL_S = 0.002
_IDLE = Status(State.CONNECTING, "not started")
_STATES = (
    State.CONNECTING,
    State.CONNECTING,
    State.QUEUED,
    State.STREAMING,
    State.RECONNECTING,
    State.CLOSED,
    State.FAILED,
)
"""By `c2r_state`; the first is that of a client that was not opened."""

_GRANTED = (
    "width",
    "height",
    "fps",
    "chunk_latents",
    "first_chunk_frames",
    "chunk_frames",
    "max_in_flight_chunks",
    "strength",
    "seed",
    "resume_grace_s",
)
"""Fields of `Granted` that are the same in `c2r_accepted`."""

NativeEvent = Status | SessionWarning | ControlAck


@dataclass(frozen=True)
class Granted:
    """What a session was granted, as far as the C interface tells; see `Accepted`."""

    session_id: str
    server: str
    width: int
    height: int
    fps: float
    chunk_latents: int
    first_chunk_frames: int
    chunk_frames: int
    max_in_flight_chunks: int
    coarse: Codec
    plane: Codec
    picture: Codec
    strength: float
    seed: int
    resumed: bool
    resume_grace_s: float


class NativeClient:
    """One session through the C library. Use it as a context manager, or `start` and `close`.

    `submit`, `poll`, `events` and `set_control` never wait. ValueError for a value out of range,
    RuntimeError for a call at the wrong time; `FileNotFoundError` when the library is not built.
    """

    def __init__(
        self, endpoint: Endpoint, options: ClientOptions, *, library: Path | None = None
    ) -> None:
        self._library = abi.load_library(library)
        self.endpoint, self.options = endpoint, options
        self._final: tuple[Status, ClientStatistics] | None = None
        self._left: list[FrameReply] = []
        self._client = ctypes.c_void_p()
        self._require(
            self._library.c2r_create(
                ctypes.byref(_options(endpoint, options.patience)), ctypes.byref(self._client)
            )
        )

    def start(self) -> None:
        """Begin to connect; returns at once."""
        session = _session(self.options, self._has_codec)
        self._require(self._library.c2r_open(self._client, ctypes.byref(session)))

    def close(self, *, discard: bool = False, timeout_s: float = 10.0) -> None:
        """End the session and wait for the last outcomes, at most `timeout_s`; frees everything.

        The outcomes that were not read stay for `poll` and `results`.
        """
        if self._final is not None:
            return
        self._require(self._library.c2r_close(self._client, int(discard), timeout_s))
        end = time.monotonic() + timeout_s + 1.0
        while not self.status.final and time.monotonic() < end:
            self._left += self._outcomes()
            time.sleep(_POLL_S)
        self._left += self._outcomes()
        self._final = (self.status, self.statistics)
        self._library.c2r_destroy(self._client)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close(discard=error is not None)

    def submit(self, frame: CoarseFrame) -> None:
        """Hand a frame over; its images are copied before this returns."""
        self._open_still("the client is closed; make a new one to send frames")
        given, kept = _frame(frame)
        self._require(self._library.c2r_submit(self._client, ctypes.byref(given)))
        del kept  # the arrays had to live until here

    def poll(self) -> list[FrameReply]:
        """The outcomes that are there now, in frame order; does not wait."""
        left, self._left = self._left, []
        return left if self._final is not None else left + self._outcomes()

    def results(self) -> Iterator[FrameReply]:
        """Outcomes in frame order; waits for each, until the client is closed or has failed."""
        while True:
            final = self.status.final
            found = self.poll()
            yield from found
            if final and not found:
                return
            if not found:
                time.sleep(_POLL_S)

    def events(self) -> list[NativeEvent]:
        """Changes of status, warnings and acknowledgements since the last call."""
        found: list[NativeEvent] = []
        event = abi.Event()
        while self._final is None and self._library.c2r_poll_event(
            self._client, ctypes.byref(event)
        ):
            found.append(_event(event))
        return found

    def set_control(
        self,
        *,
        prompt: str | None = None,
        negative_prompt: str | None = None,
        strength: float | None = None,
        seed: int | None = None,
        blend_chunks: int | None = None,
    ) -> int:
        """Change what is rendered from the next chunk on; the id of the coming acknowledgement."""
        self._open_still("the client is closed; make a new one to change the world")
        control, control_id = abi.Control(), ctypes.c_uint64()
        control.prompt = None if prompt is None else prompt.encode()
        control.negative_prompt = None if negative_prompt is None else negative_prompt.encode()
        control.has_strength, control.strength = strength is not None, strength or 0.0
        control.has_seed, control.seed = seed is not None, seed or 0
        control.blend_chunks = blend_chunks or 0
        code = self._library.c2r_set_control(
            self._client, ctypes.byref(control), ctypes.byref(control_id)
        )
        self._require(code)
        return control_id.value

    def wait_streaming(self, timeout_s: float = 30.0) -> Granted:
        """What the session was granted, once it streams. ConnectionError when it is not."""
        end = time.monotonic() + timeout_s
        while (accepted := self.accepted) is None:
            status = self.status
            if status.final or time.monotonic() > end:
                raise ConnectionError(status.text)
            time.sleep(_POLL_S)
        return accepted

    def wait_for_room(self, timeout_s: float | None = None) -> bool:
        """Wait until a frame would be sent at once, or nothing can be; False if too late."""
        end = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.has_room and not self.status.final:
            if end is not None and time.monotonic() > end:
                return False
            time.sleep(_POLL_S)
        return True

    def report_shown(self, reply: RenderedFrame, *, buffer_ms: float = 0.0) -> None:
        """Tell the server, in time, which picture is on the screen and what waits behind it."""
        if self._final is None:
            code = self._library.c2r_report_shown(
                self._client, reply.frame_id, reply.capture_time_us, buffer_ms
            )
            self._require(code)

    @property
    def status(self) -> Status:
        """Where the client stands."""
        if self._final is not None:
            return self._final[0]
        found = abi.StatusStruct()
        self._require(self._library.c2r_get_status(self._client, ctypes.byref(found)))
        if found.state == 0:
            return _IDLE
        retry = found.retry_in_s if found.retry_in_s > 0 else None
        return Status(_STATES[found.state], found.text.decode(), found.queue_position, retry)

    @property
    def accepted(self) -> Granted | None:
        """What the session was granted; None while there is no connection."""
        found = abi.AcceptedStruct()
        if self._final is not None:
            return None
        there = self._library.c2r_get_accepted(self._client, ctypes.byref(found))
        return _granted(found) if there == 1 else None

    @property
    def statistics(self) -> ClientStatistics:
        """The client in numbers."""
        if self._final is not None:
            return self._final[1]
        found = abi.StatsStruct()
        self._require(self._library.c2r_get_stats(self._client, ctypes.byref(found)))
        return _statistics(found)

    @property
    def has_room(self) -> bool:
        """A frame submitted now would be sent without replacing another."""
        return self._final is None and self._library.c2r_has_room(self._client) == 1

    def _outcomes(self) -> list[FrameReply]:
        found: list[FrameReply] = []
        result = abi.Result()
        while self._library.c2r_poll(self._client, ctypes.byref(result)) == 1:
            found.append(_reply(result))
        return found

    def _has_codec(self, codec: Codec) -> bool:
        return bool(self._library.c2r_has_codec(number_of(codec)))

    def _open_still(self, message: str) -> None:
        if self._final is not None:
            raise RuntimeError(message)

    def _require(self, code: int) -> None:
        if code >= _OK:
            return
        text = self._library.c2r_last_error().decode()
        raise (ValueError if code == _ARGUMENT else RuntimeError)(text)


def _options(endpoint: Endpoint, patience: Patience) -> abi.Options:
    options = abi.Options()
    options.address, options.tls = endpoint.address.encode(), endpoint.tls
    options.root_ca = endpoint.root_ca
    options.client_cert, options.client_key = endpoint.client_cert, endpoint.client_key
    for name in ("server_name", "token"):
        text = getattr(endpoint, name)
        setattr(options, name, None if text is None else text.encode())
    for name in ("silence_s", "stuck_s", "feedback_s", "retry_first_s", "retry_most_s"):
        setattr(options, name, getattr(patience, name))
    options.give_up_s = patience.give_up_s or 0.0
    return options


def _session(wanted: ClientOptions, has_codec: Any) -> abi.Session:
    session = abi.Session()
    session.width, session.height, session.fps = wanted.width, wanted.height, wanted.fps
    session.prompt = wanted.prompt.encode()
    session.negative_prompt = wanted.negative_prompt.encode()
    session.strength = wanted.strength
    session.has_seed, session.seed = wanted.seed is not None, wanted.seed or 0
    session.side_channels = sum(1 << (number_of(one) - 1) for one in wanted.side_channels)
    session.picture_pixels = session.picture_rows = 1
    if wanted.codecs is not None:
        for name, codecs in (("coarse", wanted.codecs.coarse), ("picture", wanted.codecs.picture)):
            numbers = [number_of(codec) for codec in codecs if has_codec(codec)]
            if not numbers:
                asked = ", ".join(codecs)
                raise ValueError(f"the native client has no {name} codec of: {asked}; name raw")
            getattr(session, f"{name}_codecs")[: len(numbers)] = numbers
    return session


def _frame(frame: CoarseFrame) -> tuple[abi.Frame, list[Any]]:
    """The frame as the library reads it, and what must live as long."""
    given = abi.Frame()
    kept: list[Any] = []
    given.reset = -1 if frame.reset is None else number_of(frame.reset)
    given.frame_id, given.capture_time_us = frame.frame_id, frame.capture_time_us
    given.frame_delta_ms = frame.frame_delta_ms
    given.pixels, given.depth_format, given.meters_per_unit = 1, 2, 1.0
    given.colour = _image(frame.rgb, kept)
    if frame.depth is not None:
        given.depth = _image(frame.depth, kept)
    if frame.motion is not None:
        given.motion = _image(frame.motion, kept)
    if frame.camera is not None:
        camera = abi.CameraStruct()
        camera.fov_y = frame.camera.fov_y
        for name in ("position", "right", "up", "forward", "view_to_clip", "clip_to_prev_clip"):
            getattr(camera, name)[:] = getattr(frame.camera, name).ravel().tolist()
        given.camera = ctypes.pointer(camera)
        kept.append(camera)
    given.jitter_x, given.jitter_y = frame.jitter
    given.pre_exposure = frame.pre_exposure
    return given, kept


def _image(array: np.ndarray[Any, Any], kept: list[Any]) -> abi.Image:
    packed = np.ascontiguousarray(array)
    kept.append(packed)
    image = abi.Image()
    image.data = packed.ctypes.data
    image.height, image.width = packed.shape[:2]
    return image


def _reply(result: abi.Result) -> FrameReply:
    ids = (result.frame_id, result.capture_time_us)
    if result.outcome == _RENDERED:
        size = result.height * result.row_bytes
        data = ctypes.string_at(result.picture, size)
        rgb = np.frombuffer(data, np.uint8).reshape(result.height, result.width, 3)
        return RenderedFrame(*ids, rgb, result.chunk_index, StageTimes(**_stages(result.stages)))
    if result.outcome == _DROPPED:
        return DroppedFrame(*ids, member_of(DropReason, result.drop, "drop"))
    code = member_of(ErrorCode, result.fault, "fault")
    return FailedFrame(*ids, Fault(code, result.message.decode(), result.field.decode()))


def _stages(stages: abi.Stages) -> dict[str, float]:
    return {f"{name}_ms": getattr(stages, f"{name}_ms") for name in abi.STAGES}


def _event(event: abi.Event) -> NativeEvent:
    text = event.text.decode()
    if event.kind == _WARNING:
        return SessionWarning(member_of(WarningCode, event.number, "code"), text)
    if event.kind != _ACK:
        return Status(_STATES[event.number], text)
    if not event.refused:
        return ControlAck(event.control_id, event.frame_id, event.blend_chunks)
    fault = Fault(member_of(ErrorCode, event.number, "code"), text)
    return ControlAck(event.control_id, None, event.blend_chunks, fault)


def _granted(found: abi.AcceptedStruct) -> Granted:
    codecs = (found.coarse_codec, found.plane_codec, found.picture_codec)
    coarse, plane, picture = known_members(Codec, codecs)
    return Granted(
        session_id=found.session_id.decode(),
        server=found.server.decode(),
        coarse=coarse,
        plane=plane,
        picture=picture,
        resumed=bool(found.resumed),
        **{name: getattr(found, name) for name in _GRANTED},
    )


def _statistics(found: abi.StatsStruct) -> ClientStatistics:
    reasons = {
        member_of(DropReason, number, "drop"): n for number, n in enumerate(found.dropped) if n
    }
    counts = Counts(found.submitted, found.sent, found.rendered, found.failed, reasons, found.stray)
    return ClientStatistics(
        counts=counts,
        fps_in=found.fps_in,
        fps_out=found.fps_out,
        fps_steady=found.fps_steady,
        latency_ms=Percentiles(found.latency_p50_ms, found.latency_p90_ms, found.latency_p99_ms),
        stages_ms=_stages(found.stages),
        decode_ms=found.decode_ms,
        bytes_sent=found.bytes_sent,
        bytes_received=found.bytes_received,
        connections=found.connections,
        callback_errors=0,
        first_picture_ms=found.first_picture_ms if found.first_picture_ms >= 0 else None,
    )
