"""Opening a session: what the client asks for, what the server grants, what a server is."""

from __future__ import annotations

from dataclasses import dataclass

from c2r.wire.checks import (
    MAX_SIDE,
    UINT32_MAX,
    check_positive,
    check_real,
    check_text,
    check_whole,
    require,
)
from c2r.wire.errors import ErrorCode, WireError
from c2r.wire.events import MAX_STRENGTH, ControlChange, SessionWarning, WarningCode
from c2r.wire.formats import CodecChoice, CodecLists, SideChannel

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0
MAX_TOKEN_BYTES = 64
MAX_CLIENT_BYTES = 128


def check_protocol(major: int, minor: int) -> SessionWarning | None:
    """Check the peer's version: another major is refused, another minor gives a warning."""
    ours = f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}"
    if major != PROTOCOL_MAJOR:
        older = "the peer" if major < PROTOCOL_MAJOR else "this side"
        message = f"the peer speaks protocol {major}.{minor}, this side {ours}; update {older}"
        raise WireError(ErrorCode.UNSUPPORTED, message, "protocol_major")
    if minor == PROTOCOL_MINOR:
        return None
    message = f"the peer speaks protocol {major}.{minor}, this side {ours}; newer parts are ignored"
    return SessionWarning(WarningCode.PROTOCOL_MINOR, message)


def check_size(width: int, height: int, fps: float) -> None:
    """A frame size in pixels and a rate above 0, before any server's limits."""
    check_whole(width, "width", 1, MAX_SIDE)
    check_whole(height, "height", 1, MAX_SIDE)
    check_positive(fps, "fps")


@dataclass(frozen=True)
class OpenRequest:
    """Asks for a session. `width`, `height`: pixels; `fps`: the rate of capture.

    `strength` [0, 2]: how closely rendered frames follow the coarse ones. `seed` None: the server
    draws one. `side_channels`: what the client could send. `resume_token`: of a session whose
    connection broke.
    """

    width: int
    height: int
    fps: float
    codecs: CodecLists
    prompt: str = ""
    negative_prompt: str = ""
    strength: float = 1.0
    seed: int | None = None
    side_channels: tuple[SideChannel, ...] = ()
    resume_token: bytes = b""
    client: str = ""
    protocol_major: int = PROTOCOL_MAJOR
    protocol_minor: int = PROTOCOL_MINOR

    def __post_init__(self) -> None:
        check_size(self.width, self.height, self.fps)
        check_text(self.prompt, "prompt")
        check_text(self.negative_prompt, "negative_prompt")
        check_real(self.strength, "strength", 0.0, MAX_STRENGTH)
        if self.seed is not None:
            check_whole(self.seed, "seed")
        check_token(self.resume_token)
        check_text(self.client, "client", MAX_CLIENT_BYTES)


def check_token(token: bytes) -> None:
    """A resume token; empty means none."""
    message = f"has {len(token)} bytes, a token at most {MAX_TOKEN_BYTES}"
    require(len(token) <= MAX_TOKEN_BYTES, message, "resume_token")


@dataclass(frozen=True)
class Limits:
    """What a server allows one session; both sides check it."""

    max_width: int = 1920
    max_height: int = 1088
    size_multiple: int = 16
    max_fps: float = 240.0
    max_prompt_bytes: int = 4096
    max_message_bytes: int = 32 << 20
    idle_timeout_s: float = 60.0

    def __post_init__(self) -> None:
        check_whole(self.max_width, "max_width", 1, MAX_SIDE)
        check_whole(self.max_height, "max_height", 1, MAX_SIDE)
        for name in ("size_multiple", "max_prompt_bytes", "max_message_bytes"):
            check_whole(getattr(self, name), name, 1, UINT32_MAX)
        check_positive(self.max_fps, "max_fps")
        check_positive(self.idle_timeout_s, "idle_timeout_s")

    def check_open(self, request: OpenRequest) -> None:
        """Refuse a session beyond these limits."""
        self.check_plane(request.width, request.height)
        step = self.size_multiple
        for name, side in (("width", request.width), ("height", request.height)):
            nearest = max(step, round(side / step) * step)
            message = f"is {side}; it must be a multiple of {step}, for example {nearest}"
            require(side % step == 0, message, name)
        if request.fps > self.max_fps:
            message = f"is {request.fps:g}; this server takes at most {self.max_fps:g}"
            raise WireError(ErrorCode.TOO_LARGE, message, "fps")
        self._check_prompts(request.prompt, request.negative_prompt)

    def check_control(self, change: ControlChange) -> None:
        """Refuse a prompt beyond these limits."""
        self._check_prompts(change.prompt or "", change.negative_prompt or "")

    def check_plane(self, width: int, height: int) -> None:
        """Refuse a rectangle beyond the largest frame; pixels."""
        most = {"width": (width, self.max_width), "height": (height, self.max_height)}
        for name, (side, limit) in most.items():
            require(side >= 1, f"is {side}; it must be at least 1", name)
            if side > limit:
                message = f"is {side}; this server takes at most {limit}"
                raise WireError(ErrorCode.TOO_LARGE, message, name)

    def _check_prompts(self, prompt: str, negative_prompt: str) -> None:
        check_text(prompt, "prompt", self.max_prompt_bytes)
        check_text(negative_prompt, "negative_prompt", self.max_prompt_bytes)


@dataclass(frozen=True)
class Accepted:
    """What a session was granted; everything that reads or writes its frames is made from this.

    `resumed`: the session of the token continues, with its K/V cache. `first_chunk_frames`: of the
    first chunk and of the one after a reset. `max_in_flight_chunks`: the in-flight window, in
    chunks of frames without a reply.
    """

    session_id: str
    width: int
    height: int
    fps: float
    chunk_latents: int
    first_chunk_frames: int
    chunk_frames: int
    max_in_flight_chunks: int
    codecs: CodecChoice
    limits: Limits
    side_channels: tuple[SideChannel, ...] = ()
    strength: float = 1.0
    seed: int = 0
    resume_token: bytes = b""
    resume_grace_s: float = 0.0
    resumed: bool = False
    server: str = ""
    protocol_major: int = PROTOCOL_MAJOR
    protocol_minor: int = PROTOCOL_MINOR

    def __post_init__(self) -> None:
        check_size(self.width, self.height, self.fps)
        chunks = ("chunk_latents", "first_chunk_frames", "chunk_frames", "max_in_flight_chunks")
        for name in chunks:
            check_whole(getattr(self, name), name, 1, UINT32_MAX)
        check_real(self.strength, "strength", 0.0, MAX_STRENGTH)
        check_whole(self.seed, "seed")
        check_token(self.resume_token)
        check_real(self.resume_grace_s, "resume_grace_s")
        check_text(self.session_id, "session_id")
        check_text(self.server, "server")


@dataclass(frozen=True)
class ServerInfo:
    """What a server is and offers. `ready`: loaded and warm; `random_weights`: nothing trained."""

    preset: str
    width: int
    height: int
    fps: float
    chunk_latents: int
    codecs: CodecLists
    limits: Limits
    side_channels: tuple[SideChannel, ...] = ()
    ready: bool = False
    random_weights: bool = False
    device: str = ""
    sessions: int = 0
    max_sessions: int = 1
    server: str = ""
    protocol_major: int = PROTOCOL_MAJOR
    protocol_minor: int = PROTOCOL_MINOR

    def __post_init__(self) -> None:
        check_size(self.width, self.height, self.fps)
        check_whole(self.chunk_latents, "chunk_latents", 1, UINT32_MAX)
        check_whole(self.sessions, "sessions", 0, UINT32_MAX)
        check_whole(self.max_sessions, "max_sessions", 1, UINT32_MAX)
        for name in ("preset", "device", "server"):
            check_text(getattr(self, name), name)
