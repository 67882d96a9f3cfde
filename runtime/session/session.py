"""A session: what outlives one stream, so that a client that was cut off finds it again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from c2r.wire import OpenRequest
from c2r.wire.events import ControlChange, EndReason, WarningCode
from runtime.core import RenderParameters
from runtime.pipeline.pipeline import Video
from runtime.session.stats import SessionStats

TOKEN_BYTES = 32
MAX_FAILURES = 3
"""Chunks in a row that may fail before the session is given up."""
NO_NEGATIVE_PROMPT = "this renderer is distilled: a negative prompt has no effect"


class Refusal(StrEnum):
    """Why a stream is refused or cut off, when no message is to blame."""

    FULL = "full"
    STOPPING = "stopping"
    NO_OPEN = "no_open"
    NOT_READING = "not_reading"
    NO_MEMORY = "no_memory"
    FAULT = "fault"


class RefusedError(Exception):
    """A stream ends with a status; `message` says what to do."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.message = message


@dataclass(frozen=True)
class Ending:
    """Why a stream ends. `error`: it ends with a status instead of `Ended`.

    `resumable`: the session waits for its client to return.
    """

    reason: EndReason
    message: str
    resumable: bool = False
    error: Exception | None = None

    @property
    def is_told(self) -> bool:
        """`Ended` is sent: in good order, and with its numbers before a status of our own fault."""
        fault = isinstance(self.error, RefusedError) and self.error.refusal is Refusal.FAULT
        return self.error is None or fault


class ActiveStream(Protocol):
    """The stream that a session is on, as the session and the server know it."""

    def end(self, ending: Ending) -> None:
        """End for this reason, unless it is ending already."""
        ...

    def take_over(self) -> None:
        """Another stream goes on with the session: end."""
        ...

    def drain(self) -> None:
        """The server stops: finish the chunk and end."""
        ...

    def restart(self) -> None:
        """The video lost its state: the next chunk is a first one."""
        ...


class Session:
    """One client's video, the parameters it asked for, and its numbers. Lives on the event loop.

    `params` are requested; the video has them from its next chunk on. `rendered_prompt`: of the
    chunk that was requested last. `at_start`: the next chunk is a first one, since the video has no
    state. `needs_reset`: the next chunk is a first one, since the video's state was rendered with
    another prompt. `old_token`: still good, until the client shows that it has `token`. `stream` is
    None while the session is parked.
    """

    def __init__(self, video: Video, params: RenderParameters, now_s: float) -> None:
        self.name = secrets.token_hex(4)
        self.token, self.old_token = secrets.token_bytes(TOKEN_BYTES), b""
        self.video = video
        self.params = params
        self.rendered_prompt: str | None = None
        self.at_start, self.needs_reset = True, False
        self.stats = SessionStats(now_s)
        self.stream: ActiveStream | None = None
        self._failures = 0
        self._warned: set[WarningCode] = set()

    def renew_token(self, used: bytes) -> None:
        """Another token; `used`: the one that the client came with."""
        self.token, self.old_token = secrets.token_bytes(TOKEN_BYTES), used

    def update_params(self, params: RenderParameters) -> None:
        """Take requested parameters; a new prompt that is not blended in resets the stream.

        A prompt that is requested again before its first chunk keeps the blend of the first time.
        """
        if params.prompt == self.params.prompt:
            params = replace(params, blend_chunks=self.params.blend_chunks)
        elif self.rendered_prompt in (None, params.prompt):
            # Nothing was rendered with another prompt, or the change was taken back in time.
            self.needs_reset = False
        else:
            # A reset that is due stays due: after it there is nothing to blend from.
            self.needs_reset |= not params.blend_chunks
            params = replace(params, blend_chunks=0) if self.needs_reset else params
        self.params = params

    def warns(self, code: WarningCode) -> bool:
        """Whether a warning is the first of its kind; it counts as sent now."""
        if code in self._warned:
            return False
        self._warned.add(code)
        return True

    def chunk_done(self, *, first: bool) -> int:
        """Count a rendered chunk; returns its index.

        Only a later chunk ends a row of failures: it shows that the write before it held. A first
        chunk shows nothing, or a renderer whose writes all fail would be retried forever.
        """
        self._failures = self._failures if first else 0
        self.stats.chunks += 1
        return self.stats.chunks - 1

    @property
    def gave_up(self) -> bool:
        """`MAX_FAILURES` chunks failed in a row."""
        return self._failures >= MAX_FAILURES

    @property
    def renders(self) -> bool:
        """Its latest chunk did not fail."""
        return self.stats.chunks > 0 and self._failures == 0

    def record_failure(self) -> None:
        """The video lost its state."""
        self._failures += 1
        self.at_start = True
        if self.stream is not None:
            self.stream.restart()


def open_parameters(request: OpenRequest, blend_chunks: int) -> RenderParameters:
    """What a new session asks for; the seed is random when the client gave none."""
    return RenderParameters(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        strength=request.strength,
        seed=secrets.randbits(64) if request.seed is None else request.seed,
        blend_chunks=blend_chunks,
    )


def resume_parameters(
    params: RenderParameters, request: OpenRequest, blend_chunks: int
) -> RenderParameters:
    """What a resumed session asks for: what its client says now, and the seed that it had."""
    opened = open_parameters(request, blend_chunks)
    return opened if request.seed is not None else replace(opened, seed=params.seed)


def changed_parameters(
    params: RenderParameters, change: ControlChange, blend_chunks: int
) -> RenderParameters:
    """Parameters after a control change; `blend_chunks`: the server's default."""
    wanted = {
        "prompt": change.prompt,
        "negative_prompt": change.negative_prompt,
        "strength": change.strength,
        "seed": change.seed,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    if change.prompt is not None:
        changes["blend_chunks"] = change.blend_chunks or blend_chunks
    return replace(params, **changes)  # type: ignore[arg-type]
