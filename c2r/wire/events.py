"""Messages of a session besides frames and their replies."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from c2r.wire.checks import UINT32_MAX, check_real, check_text, check_whole, require
from c2r.wire.errors import Fault

MAX_STRENGTH = 2.0
MAX_BLEND_CHUNKS = 64


@dataclass(frozen=True)
class ControlChange:
    """Changes what is rendered, from the next chunk on; None leaves a setting as it is.

    `blend_chunks` [1, 64]: chunks over which the prompt is blended; None: the server's choice.
    """

    control_id: int
    prompt: str | None = None
    negative_prompt: str | None = None
    strength: float | None = None
    seed: int | None = None
    blend_chunks: int | None = None

    def __post_init__(self) -> None:
        check_whole(self.control_id, "control_id")
        check_text(self.prompt or "", "prompt")
        check_text(self.negative_prompt or "", "negative_prompt")
        if self.strength is not None:
            check_real(self.strength, "strength", 0.0, MAX_STRENGTH)
        if self.seed is not None:
            check_whole(self.seed, "seed")
        if self.blend_chunks is not None:
            check_whole(self.blend_chunks, "blend_chunks", 1, MAX_BLEND_CHUNKS)
        changes = (self.prompt, self.negative_prompt, self.strength, self.seed)
        message = "nothing; set prompt, negative_prompt, strength or seed"
        require(any(change is not None for change in changes), f"changes {message}", "")


@dataclass(frozen=True)
class ControlAck:
    """What became of one control change: its first frame, or why it was refused."""

    control_id: int
    frame_id: int | None = None
    blend_chunks: int = 1
    refused: Fault | None = None

    def __post_init__(self) -> None:
        check_whole(self.control_id, "control_id")
        if self.frame_id is not None:
            check_whole(self.frame_id, "frame_id")
        check_whole(self.blend_chunks, "blend_chunks", 0, UINT32_MAX)
        message = "must be unset when the change was refused, and set when it was not"
        require((self.frame_id is None) == (self.refused is not None), message, "frame_id")


@dataclass(frozen=True)
class Flow:
    """How much the client may send; replaces the one before.

    `window_frames`: at most this many frames without a reply. `keyframe_wanted`: the next coarse
    frame must be an IDR frame (H.264 only).
    """

    window_frames: int
    queue_position: int = 0
    inbox_frames: int = 0
    keyframe_wanted: bool = False

    def __post_init__(self) -> None:
        for name in ("window_frames", "queue_position", "inbox_frames"):
            check_whole(getattr(self, name), name, 0, UINT32_MAX)


@dataclass(frozen=True)
class Feedback:
    """How rendered frames arrive; milliseconds are running means.

    `latency_ms` goes from capture to display, `frames_unsent` counts what the client itself dropped
    since the session began. `keyframe_wanted`: the next rendered frame must be an IDR frame
    (H.264 only).
    """

    displayed_frame_id: int | None = None
    decode_ms: float = 0.0
    jitter_buffer_ms: float = 0.0
    latency_ms: float = 0.0
    frames_unsent: int = 0
    keyframe_wanted: bool = False

    def __post_init__(self) -> None:
        if self.displayed_frame_id is not None:
            check_whole(self.displayed_frame_id, "displayed_frame_id")
        for name in ("decode_ms", "jitter_buffer_ms", "latency_ms"):
            check_real(getattr(self, name), name)
        check_whole(self.frames_unsent, "frames_unsent")


class WarningCode(StrEnum):
    """Kinds of warning."""

    UNSPECIFIED = "unspecified"
    PROTOCOL_MINOR = "protocol_minor"
    RANDOM_WEIGHTS = "random_weights"
    RESTARTED = "restarted"
    SLOW = "slow"
    NO_EFFECT = "no_effect"


@dataclass(frozen=True)
class SessionWarning:
    """Something a user should know; the session continues."""

    code: WarningCode
    message: str


@dataclass(frozen=True)
class Keepalive:
    """The server is alive and has nothing else to send; microseconds of its clock."""

    server_time_us: int = 0

    def __post_init__(self) -> None:
        check_whole(self.server_time_us, "server_time_us")


@dataclass(frozen=True)
class EndRequest:
    """No more frames will follow. `discard_pending`: drop those that were not rendered yet."""

    discard_pending: bool = False


class EndReason(StrEnum):
    """Why a session ended."""

    UNSPECIFIED = "unspecified"
    CLIENT = "client"
    SHUTDOWN = "shutdown"
    IDLE = "idle"
    FAULT = "fault"
    TAKEN_OVER = "taken_over"


@dataclass(frozen=True)
class SessionStatistics:
    """A session in numbers: received = rendered + dropped + failed; latency is `total_ms`."""

    frames_received: int = 0
    frames_rendered: int = 0
    frames_dropped: int = 0
    frames_failed: int = 0
    chunks: int = 0
    duration_s: float = 0.0
    latency_p50_ms: float = 0.0
    latency_p90_ms: float = 0.0
    latency_p99_ms: float = 0.0

    def __post_init__(self) -> None:
        for name in ("received", "rendered", "dropped", "failed"):
            check_whole(getattr(self, f"frames_{name}"), f"frames_{name}")
        check_whole(self.chunks, "chunks")
        for name in ("duration_s", "latency_p50_ms", "latency_p90_ms", "latency_p99_ms"):
            check_real(getattr(self, name), name)


@dataclass(frozen=True)
class Ended:
    """The last message of a session. `resumable`: the token still works for the grace period."""

    reason: EndReason
    message: str = ""
    resumable: bool = False
    statistics: SessionStatistics = field(default_factory=SessionStatistics)
