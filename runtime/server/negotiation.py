"""What a server offers and what it grants: the one place that fills `Accepted` and `ServerInfo`."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from c2r.models.configs import Preset
from c2r.wire import (
    Accepted,
    ErrorCode,
    Limits,
    OpenRequest,
    ServerInfo,
    WireError,
    default_codecs,
    negotiate,
)
from c2r.wire.events import SessionWarning, WarningCode
from c2r.wire.formats import CodecChoice, SideChannel
from c2r.wire.handshake import check_protocol
from runtime.server.access import is_loopback
from runtime.session.session import NO_NEGATIVE_PROMPT, Session
from runtime.session.settings import ServeSettings

RENDERED_FROM: frozenset[SideChannel] = frozenset()
"""What the renderer reads beside colour. Engines draw and send what is granted, so that costs them
nothing that is not used."""


class Negotiation:
    """What one server, for one preset, lets its sessions do."""

    def __init__(self, preset: Preset, settings: ServeSettings) -> None:
        self.preset = preset
        self.settings = settings
        self.codecs = default_codecs(loopback=is_loopback(settings.host))
        self.limits = Limits(
            max_width=preset.output_size[0],
            max_height=preset.output_size[1],
            size_multiple=preset.pixels_per_token,
            max_fps=settings.max_fps,
            max_prompt_bytes=settings.max_prompt_bytes,
            max_message_bytes=settings.message_bytes(preset),
            idle_timeout_s=settings.idle_timeout_s,
        )
        wanted = RENDERED_FROM | set(settings.side_channels)
        self.side_channels = tuple(one for one in SideChannel if one in wanted)
        self.server = f"c2r {_own_version()}"

    def check(self, request: OpenRequest) -> CodecChoice:
        """The codecs of a session; `WireError` with the path when it cannot be granted."""
        try:
            self._check_size(request)
            self.limits.check_open(request)
        except WireError as error:
            raise error.inside("open") from error
        return negotiate(request.codecs, self.codecs)

    def accepted(
        self, request: OpenRequest, codecs: CodecChoice, session: Session, *, resumed: bool
    ) -> Accepted:
        """What the session is granted."""
        preset, settings = self.preset, self.settings
        parks = settings.resume_grace_s > 0
        return Accepted(
            session_id=session.name,
            resume_token=session.token if parks else b"",
            resume_grace_s=settings.resume_grace_s,
            resumed=resumed,
            width=request.width,
            height=request.height,
            fps=request.fps,
            chunk_latents=preset.stream.chunk,
            first_chunk_frames=preset.chunk_frames(True),
            chunk_frames=preset.chunk_frames(False),
            max_in_flight_chunks=settings.max_in_flight_chunks,
            codecs=codecs,
            side_channels=tuple(one for one in request.side_channels if one in self.side_channels),
            limits=self.limits,
            strength=session.params.strength,
            seed=session.params.seed,
            server=self.server,
        )

    def notices(
        self, request: OpenRequest, session: Session, random_weights: bool, *, resumed: bool
    ) -> list[SessionWarning]:
        """What the client should know as the session begins."""
        notices = []
        minor = check_protocol(request.protocol_major, request.protocol_minor)
        if minor is not None:
            notices.append(minor)
        if request.resume_token and not resumed:
            message = "the resume token names no living session; this one is new"
            notices.append(SessionWarning(WarningCode.RESTARTED, message))
        if random_weights:
            message = "the renderer runs on random weights: its frames mean nothing"
            notices.append(SessionWarning(WarningCode.RANDOM_WEIGHTS, message))
        if request.negative_prompt and session.warns(WarningCode.NO_EFFECT):
            notices.append(SessionWarning(WarningCode.NO_EFFECT, NO_NEGATIVE_PROMPT))
        return notices

    def info(self, *, ready: bool, device: str, random_weights: bool, sessions: int) -> ServerInfo:
        """What this server is, now."""
        preset = self.preset
        return ServerInfo(
            preset=preset.name,
            width=preset.output_size[0],
            height=preset.output_size[1],
            fps=preset.fps,
            chunk_latents=preset.stream.chunk,
            codecs=self.codecs,
            limits=self.limits,
            side_channels=self.side_channels,
            ready=ready,
            random_weights=random_weights,
            device=device,
            sessions=sessions,
            max_sessions=self.settings.max_sessions,
            server=self.server,
        )

    def _check_size(self, request: OpenRequest) -> None:
        preset, served = self.preset, self.preset.output_size
        if (request.width, request.height) in (served, (preset.width, preset.height)):
            return
        name, code = "width" if request.width != served[0] else "height", ErrorCode.INVALID
        message = (
            f"the frames are {request.width}x{request.height}, this server renders "
            f"{served[0]}x{served[1]}; resize them, or start one with --width "
            f"{request.width // preset.output_scale} --height "
            f"{request.height // preset.output_scale}"
        )
        raise WireError(code, message, name)


def _own_version() -> str:
    try:
        return version("c2r")
    except PackageNotFoundError:  # a checkout that is not installed
        return "checkout"
