"""A session: what outlives one stream, so that a client that was cut off finds it again."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace
from typing import Protocol

from c2r.wire import OpenRequest
from c2r.wire.events import ControlChange, EndReason, WarningCode
from runtime.pipeline.video_stream import RenderParameters, Video
from runtime.session.stats import SessionStats

TOKEN_BYTES = 32
NO_NEGATIVE_PROMPT = "this renderer is distilled: a negative prompt has no effect"


@dataclass(frozen=True)
class Ending:
    """Why a stream ends. `error`: it ends with a status instead of `Ended`.

    `resumable`: the session waits for its client to return.
    """

    reason: EndReason
    message: str
    resumable: bool = False
    error: Exception | None = None


class Line(Protocol):
    """The stream that a session is on, as the session knows it."""

    def take_over(self) -> None:
        """Another stream goes on with the session: end."""
        ...

    def drain(self) -> None:
        """The server stops: finish the chunk and end."""
        ...

    def begin_anew(self) -> None:
        """The video lost its past: the next chunk is a first one."""
        ...


class Session:
    """One client's video, the look it asked for, and its numbers. Lives on the event loop.

    `look` is asked for; the video has it from its next chunk on. `fresh`: that chunk is a first
    one. `painted`: the prompt of the chunk that was ordered last. `stale`: the next chunk is a
    first one, since the video's past was painted for another prompt. `line` is None while the
    session is parked.
    """

    def __init__(self, video: Video, look: RenderParameters, now_s: float) -> None:
        self.name = secrets.token_hex(4)
        self.token = secrets.token_bytes(TOKEN_BYTES)
        self.video = video
        self.look = look
        self.painted: str | None = None
        self.fresh, self.stale = True, False
        self.stats = SessionStats(now_s)
        self.line: Line | None = None
        self._faults = 0
        self._warned: set[WarningCode] = set()

    def take(self, look: RenderParameters) -> None:
        """Ask for another look; a new prompt that is not blended in begins the stream anew.

        The prompt that waits already keeps the blend that it was asked for with.
        """
        if look.prompt == self.look.prompt:
            look = replace(look, blend_chunks=self.look.blend_chunks)
        elif self.painted in (None, look.prompt):
            self.stale = False
        else:
            self.stale |= not look.blend_chunks
            look = replace(look, blend_chunks=0) if self.stale else look
        self.look = look

    def warns(self, code: WarningCode) -> bool:
        """Whether a warning is the first of its kind; it counts as said now."""
        if code in self._warned:
            return False
        self._warned.add(code)
        return True

    def chunk_done(self, *, first: bool) -> int:
        """A chunk was rendered; gives its index. A later chunk proves that those before held."""
        self._faults = self._faults if first else 0
        self.stats.chunks += 1
        return self.stats.chunks - 1

    def stumbled(self) -> int:
        """The video lost its past; gives how often that happened in a row."""
        self._faults += 1
        self.fresh = True
        if self.line is not None:
            self.line.begin_anew()
        return self._faults


def look_of(request: OpenRequest, blend_chunks: int) -> RenderParameters:
    """What a new session asks for; the seed is drawn when the client gave none."""
    return RenderParameters(
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        strength=request.strength,
        seed=secrets.randbits(64) if request.seed is None else request.seed,
        blend_chunks=blend_chunks,
    )


def look_resumed(
    look: RenderParameters, request: OpenRequest, blend_chunks: int
) -> RenderParameters:
    """What a resumed session asks for: what its client says now, and the seed that it had."""
    asked = look_of(request, blend_chunks)
    return asked if request.seed is not None else replace(asked, seed=look.seed)


def look_changed(
    look: RenderParameters, change: ControlChange, blend_chunks: int
) -> RenderParameters:
    """A look after a control change; `blend_chunks`: the server's choice."""
    wanted = {
        "prompt": change.prompt,
        "negative_prompt": change.negative_prompt,
        "strength": change.strength,
        "seed": change.seed,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    if change.prompt is not None:
        changes["blend_chunks"] = change.blend_chunks or blend_chunks
    return replace(look, **changes)  # type: ignore[arg-type]
