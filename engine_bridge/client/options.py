"""What a client asks for, and its timeouts."""

from __future__ import annotations

from dataclasses import dataclass, field

from c2r.wire import OpenRequest, default_codecs
from c2r.wire.formats import CodecLists, SideChannel
from engine_bridge.client.endpoint import Endpoint

CLIENT_NAME = "engine_bridge (Python)"


@dataclass(frozen=True)
class Patience:
    """Timeouts in seconds, all above 0.

    `silence_s`: the connection is broken when the server sends nothing for so long. `stuck_s`: or
    when it answers no frame for so long with the whole window in flight. `feedback_s`: between
    reports to the server, which also show that the client is alive. `retry_first_s`,
    `retry_most_s`: the back-off between attempts to connect. `give_up_s`: without a session for so
    long the client fails; None: never.
    """

    silence_s: float = 15.0
    stuck_s: float = 30.0
    feedback_s: float = 1.0
    retry_first_s: float = 0.25
    retry_most_s: float = 8.0
    give_up_s: float | None = None

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(f"{name} is {value}; give seconds above 0")


@dataclass(frozen=True)
class ClientOptions:
    """The session that a client wants; sizes in pixels. `codecs` None: `default_codecs`.

    Raises `WireError` (a ValueError) naming the field for values out of range.
    """

    width: int
    height: int
    fps: float
    prompt: str = ""
    negative_prompt: str = ""
    strength: float = 1.0
    seed: int | None = None
    codecs: CodecLists | None = None
    side_channels: tuple[SideChannel, ...] = tuple(SideChannel)
    patience: Patience = field(default_factory=Patience)

    def opening(self, endpoint: Endpoint) -> OpenRequest:
        """The first message of a session with this server."""
        return OpenRequest(
            width=self.width,
            height=self.height,
            fps=self.fps,
            codecs=self.codecs or default_codecs(loopback=endpoint.loopback),
            prompt=self.prompt,
            negative_prompt=self.negative_prompt,
            strength=self.strength,
            seed=self.seed,
            side_channels=self.side_channels,
            client=CLIENT_NAME,
        )
