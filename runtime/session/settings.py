"""Settings of a server: where it listens, what it allows, how long it waits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from c2r.models.configs import Preset
from c2r.wire.formats import SideChannel


@dataclass(frozen=True)
class TLSFiles:
    """PEM files. With `client_ca`, clients must show a certificate that it signed (mTLS)."""

    certificate: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True)
class ServeSettings:
    """Everything about serving that is not the renderer itself. Times in seconds.

    `port` 0: any free one. `token`: what clients must send as `authorization: Bearer ...`.
    `health`: answer `grpc.health.v1`; `reflection`: let tools ask for the contract.

    `max_sessions` hold memory at once, `max_waiting` more queue for a slot. A session may have
    `max_in_flight_chunks` chunks of frames unanswered. `max_message_bytes` None: as much as a frame
    of the preset with all side channels needs, uncompressed. `blend_chunks`: chunks over which a
    new prompt takes over unless the client says otherwise; 0: it resets the stream, since the
    frames in the window were rendered with the old prompt and would outweigh the new one.
    `side_channels`: granted although the renderer does not read them, for recordings.

    `first_message_s`: how long a stream may be silent before its `open`; `idle_timeout_s`: after
    it; `keepalive_s`: how often the server sends a sign of life; `resume_grace_s`: how long a
    session waits for its client to return, 0: not at all; `drain_s`: how long sessions may take to
    finish when the server stops; `flush_s`: how long the last messages of a session may take to
    leave. `warm_chunks`: rendered before serving.
    """

    host: str = "127.0.0.1"
    port: int = 50051
    tls: TLSFiles | None = None
    token: bytes | None = None
    reflection: bool = False
    health: bool = True
    record: Path | None = None
    side_channels: tuple[SideChannel, ...] = ()
    max_sessions: int = 4
    max_waiting: int = 16
    max_in_flight_chunks: int = 2
    max_fps: float = 240.0
    max_prompt_bytes: int = 4096
    max_message_bytes: int | None = None
    blend_chunks: int = 0
    first_message_s: float = 10.0
    idle_timeout_s: float = 60.0
    keepalive_s: float = 5.0
    resume_grace_s: float = 30.0
    drain_s: float = 15.0
    flush_s: float = 5.0
    warm_chunks: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise ValueError(f"port {self.port} must be 0 (any free one) to 65535")
        for name in ("max_sessions", "max_in_flight_chunks"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} {getattr(self, name)} must be at least 1")
        for name in ("first_message_s", "idle_timeout_s", "keepalive_s", "drain_s", "flush_s"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)} must be above 0 seconds")
        for name in ("max_waiting", "blend_chunks", "resume_grace_s", "warm_chunks"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"{name} {getattr(self, name)} must be at least 0")

    def message_bytes(self, preset: Preset) -> int:
        """Largest message: RGBA, 32-bit depth and motion of every pixel, and all the rest."""
        if self.max_message_bytes is not None:
            return self.max_message_bytes
        width, height = preset.output_size
        return max(4 << 20, 12 * width * height + (64 << 10))
