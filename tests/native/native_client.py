"""The native client, as game engines use it, from Python: for the tests.

Endpoints, options, frames and replies are those of `RenderClient`; grants and statistics are the
C structures as they are.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator
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
from c2r.wire.enum_map import member_of, number_of
from c2r.wire.events import ControlAck, SessionWarning, WarningCode
from c2r.wire.replies import StageTimes
from engine_bridge.client.endpoint import Endpoint
from engine_bridge.client.options import ClientOptions, Patience
from engine_bridge.client.status import State, Status
from tests.native import native_abi as abi
from tests.native.native_abi import NUMBERS

POLL_S = 0.002
HANG_S = 60.0
"""Longer than anything takes on a busy machine: a wait that reaches it is a hang."""
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

NativeEvent = Status | SessionWarning | ControlAck


class NativeClient:
    """One session through the C library. Use it as a context manager, or `start` and `close`.

    ValueError for a value out of range, RuntimeError for a call at the wrong time.
    """

    def __init__(self, endpoint: Endpoint, options: ClientOptions) -> None:
        self._library = abi.load_library()
        self.options = options
        self._final: tuple[Status, Any] | None = None
        self._left: list[FrameReply] = []
        self._client = ctypes.c_void_p()
        wanted = _options(endpoint, options.patience)
        self._require(self._library.c2r_create(ctypes.byref(wanted), ctypes.byref(self._client)))

    def start(self) -> None:
        session = _session(self.options)
        self._require(self._library.c2r_open(self._client, ctypes.byref(session)))

    def request_close(self, *, discard: bool = False, timeout_s: float = HANG_S) -> None:
        """Tell the client to end the session; returns at once."""
        self._require(self._library.c2r_close(self._client, int(discard), timeout_s))

    def close(self, *, discard: bool = False, timeout_s: float = HANG_S) -> None:
        """End the session, wait for the last outcomes and free everything.

        Outcomes that were not read stay for `poll` and `results`.
        """
        if self._final is not None:
            return
        self.request_close(discard=discard, timeout_s=timeout_s)
        end = time.monotonic() + timeout_s + HANG_S
        while not self.status.final and time.monotonic() < end:
            self._left += self._outcomes()
            time.sleep(POLL_S)
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
        if self._final is not None:
            raise RuntimeError("the client is closed")
        given, images = _frame(frame)
        self._require(self._library.c2r_submit(self._client, ctypes.byref(given)))
        del images  # the library read from them until here

    def poll(self) -> list[FrameReply]:
        """The outcomes so far, in frame order."""
        left, self._left = self._left, []
        return left if self._final is not None else left + self._outcomes()

    def results(self) -> Iterator[FrameReply]:
        """Outcomes in frame order; waits for each, until the client is closed or has failed."""
        while True:
            final = self.status.final
            outcomes = self.poll()
            yield from outcomes
            if final and not outcomes:
                return
            if not outcomes:
                time.sleep(POLL_S)

    def next_event(self) -> NativeEvent | None:
        """The oldest unread change of status, warning or acknowledgement."""
        event = abi.new("event")
        if self._final is not None:
            return None
        unread = self._library.c2r_poll_event(self._client, ctypes.byref(event))
        return _event(event) if unread == 1 else None

    def events(self) -> list[NativeEvent]:
        """All unread events."""
        return list(iter(self.next_event, None))

    def set_control(
        self,
        *,
        prompt: str | None = None,
        strength: float | None = None,
        seed: int | None = None,
    ) -> int:
        """Change what is rendered from the next chunk on; the id of the coming acknowledgement."""
        control, control_id = abi.new("control"), ctypes.c_uint64()
        control.prompt = None if prompt is None else prompt.encode()
        control.has_strength, control.strength = strength is not None, strength or 0.0
        control.has_seed, control.seed = seed is not None, seed or 0
        self._require(
            self._library.c2r_set_control(
                self._client, ctypes.byref(control), ctypes.byref(control_id)
            )
        )
        return control_id.value

    def wait_streaming(self, timeout_s: float = HANG_S) -> Any:
        """The `c2r_accepted` of the session, once it streams. ConnectionError when it does not."""
        end = time.monotonic() + timeout_s
        accepted = abi.new("accepted")
        while self._library.c2r_get_accepted(self._client, ctypes.byref(accepted)) == 0:
            status = self.status
            if status.final or time.monotonic() > end:
                raise ConnectionError(status.text)
            time.sleep(POLL_S)
        return accepted

    def report_shown(self, reply: RenderedFrame, *, buffer_ms: float = 0.0) -> None:
        self._require(
            self._library.c2r_report_shown(
                self._client, reply.frame_id, reply.capture_time_us, buffer_ms
            )
        )

    @property
    def status(self) -> Status:
        if self._final is not None:
            return self._final[0]
        status = abi.new("status")
        self._require(self._library.c2r_get_status(self._client, ctypes.byref(status)))
        return Status(_STATES[status.state], status.text.decode())

    @property
    def statistics(self) -> Any:
        """`c2r_stats`; the last ones once the client is closed."""
        if self._final is not None:
            return self._final[1]
        stats = abi.new("stats")
        self._require(self._library.c2r_get_stats(self._client, ctypes.byref(stats)))
        return stats

    @property
    def has_room(self) -> bool:
        """A frame submitted now would be sent without replacing another."""
        return self._final is None and self._library.c2r_has_room(self._client) == 1

    def _outcomes(self) -> list[FrameReply]:
        outcomes: list[FrameReply] = []
        result = abi.new("result")
        while self._library.c2r_poll(self._client, ctypes.byref(result)) == 1:
            outcomes.append(_reply(result))
        return outcomes

    def _require(self, code: int) -> None:
        if code >= NUMBERS["C2R_OK"]:
            return
        text = self._library.c2r_last_error().decode()
        raise (ValueError if code == NUMBERS["C2R_E_ARGUMENT"] else RuntimeError)(text)


def _options(endpoint: Endpoint, patience: Patience) -> Any:
    options = abi.new("options")
    options.tls = endpoint.tls
    for name in ("address", "root_ca", "client_cert", "client_key", "server_name", "token"):
        value: str | bytes | None = getattr(endpoint, name)
        setattr(options, name, value.encode() if isinstance(value, str) else value)
    for name in ("silence_s", "stuck_s", "feedback_s", "retry_first_s", "retry_most_s"):
        setattr(options, name, getattr(patience, name))
    options.give_up_s = patience.give_up_s or 0.0
    return options


def _session(wanted: ClientOptions) -> Any:
    session = abi.new("session")
    session.width, session.height, session.fps = wanted.width, wanted.height, wanted.fps
    session.prompt = wanted.prompt.encode()
    session.negative_prompt = wanted.negative_prompt.encode()
    session.strength = wanted.strength
    session.has_seed, session.seed = wanted.seed is not None, wanted.seed or 0
    session.side_channels = sum(1 << (number_of(one) - 1) for one in wanted.side_channels)
    session.picture_pixels = NUMBERS["C2R_PIXELS_RGB8"]
    session.picture_rows = NUMBERS["C2R_ROWS_TOP_FIRST"]
    if wanted.codecs is not None:
        coarse, picture = wanted.codecs.coarse, wanted.codecs.picture
        session.coarse_codecs[: len(coarse)] = [number_of(codec) for codec in coarse]
        session.picture_codecs[: len(picture)] = [number_of(codec) for codec in picture]
    return session


def _frame(frame: CoarseFrame) -> tuple[Any, list[Any]]:
    """The frame as the library reads it, and what must live as long."""
    given = abi.new("frame")
    kept: list[Any] = []
    given.reset = -1 if frame.reset is None else number_of(frame.reset)
    given.frame_id, given.capture_time_us = frame.frame_id, frame.capture_time_us
    given.frame_delta_ms = frame.frame_delta_ms
    given.pixels, given.depth_format = NUMBERS["C2R_PIXELS_RGB8"], NUMBERS["C2R_DEPTH_F32"]
    given.meters_per_unit = 1.0
    images = {"colour": frame.rgb, "depth": frame.depth, "motion": frame.motion}
    for name, array in images.items():
        if array is not None:
            _point_at(getattr(given, name), array, kept)
    if frame.camera is not None:
        camera = abi.new("camera")
        camera.fov_y = frame.camera.fov_y
        for name in ("position", "right", "up", "forward", "view_to_clip", "clip_to_prev_clip"):
            getattr(camera, name)[:] = getattr(frame.camera, name).ravel().tolist()
        given.camera = ctypes.addressof(camera)
        kept.append(camera)
    given.jitter_x, given.jitter_y = frame.jitter
    given.pre_exposure = frame.pre_exposure
    return given, kept


def _point_at(image: Any, array: np.ndarray[Any, Any], kept: list[Any]) -> None:
    packed = np.ascontiguousarray(array)
    kept.append(packed)
    image.data = packed.ctypes.data
    image.height, image.width = packed.shape[:2]


def _reply(result: Any) -> FrameReply:
    ids = (result.frame_id, result.capture_time_us)
    if result.outcome == NUMBERS["C2R_OUTCOME_RENDERED"]:
        # The picture is the library's until the next poll: copied.
        data = ctypes.string_at(result.picture, result.height * result.row_bytes)
        rgb = np.frombuffer(data, np.uint8).reshape(result.height, result.width, 3)
        names = [name for name, _ in result.stages._fields_]
        stages = StageTimes(**{name: getattr(result.stages, name) for name in names})
        return RenderedFrame(*ids, rgb, result.chunk_index, stages)
    if result.outcome == NUMBERS["C2R_OUTCOME_DROPPED"]:
        return DroppedFrame(*ids, member_of(DropReason, result.drop, "drop"))
    code = member_of(ErrorCode, result.fault, "fault")
    return FailedFrame(*ids, Fault(code, result.message.decode(), result.field.decode()))


def _event(event: Any) -> NativeEvent:
    text = event.text.decode()
    if event.kind == NUMBERS["C2R_EVENT_WARNING"]:
        return SessionWarning(member_of(WarningCode, event.number, "code"), text)
    if event.kind != NUMBERS["C2R_EVENT_ACK"]:
        return Status(_STATES[event.number], text)
    if not event.refused:
        return ControlAck(event.control_id, event.frame_id, event.blend_chunks)
    fault = Fault(member_of(ErrorCode, event.number, "code"), text)
    return ControlAck(event.control_id, None, event.blend_chunks, fault)
