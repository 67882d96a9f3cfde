"""The replies of one stream, of a recording or of its replay, and how the two compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from c2r.report import percentiles
from c2r.wire import (
    Accepted,
    DroppedFrame,
    RenderedDecoder,
    RenderedFrame,
    parse_request,
    parse_response,
    unpack_response,
)
from c2r.wire.events import Ended
from c2r.wire.formats import Image
from c2r.wire.v1 import renderer_pb2 as pb
from runtime.recording.recorder import Entry, Kind, read_entries, read_header


@dataclass
class StreamReplies:
    """What a server sent on one stream: rendered frames by id, replies by kind, latencies.

    Times are seconds of any one clock.
    """

    accepted: Accepted | None = None
    accepted_s: float = 0.0
    frames: dict[int, Image] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    latency_ms: list[float] = field(default_factory=list)
    ended: str = ""
    _decoder: RenderedDecoder | None = None

    def add(self, data: bytes, now_s: float, sent_s: dict[int, float]) -> None:
        """One response; `sent_s`: when each frame was sent."""
        body = unpack_response(parse_response(data))
        if isinstance(body, Accepted):
            self.accepted, self.accepted_s = body, now_s
            self._decoder = RenderedDecoder(body)
        elif isinstance(body, Ended):
            self.ended = f"{body.reason}: {body.message}"
        elif isinstance(body, pb.FrameReply):
            if self._decoder is None:
                raise ValueError("a frame was answered before the session was accepted")
            reply = self._decoder.decode(body)
            if isinstance(reply, RenderedFrame):
                self.frames[reply.frame_id] = reply.rgb
                self.counts["rendered"] += 1
                if reply.frame_id in sent_s:
                    self.latency_ms.append((now_s - sent_s[reply.frame_id]) * 1000)
            else:
                self.counts["dropped" if isinstance(reply, DroppedFrame) else "failed"] += 1


def read_stream(path: Path, number: int) -> list[Entry]:
    """The entries of one stream of a recording; `ValueError` when there is none of that number."""
    with path.open("rb") as file:
        read_header(file, str(path))
        entries = list(read_entries(file, str(path)))
    chosen = [entry for entry in entries if entry.stream == number and entry.data]
    if not any(entry.kind is Kind.REQUEST for entry in chosen):
        numbers = sorted({entry.stream for entry in entries if entry.data})
        known = ", ".join(map(str, numbers)) or "none"
        raise ValueError(f"{path} has no stream {number} to play; it has: {known}")
    return chosen


def recorded_replies(entries: Iterable[Entry]) -> StreamReplies:
    """What the server of the recording replied."""
    replies, sent_s = StreamReplies(), dict[int, float]()
    for entry in entries:
        if entry.kind is Kind.RESPONSE:
            replies.add(entry.data, entry.time_us / 1e6, sent_s)
        elif entry.kind is Kind.REQUEST:
            note_frame(entry.data, entry.time_us / 1e6, sent_s)
    return replies


def note_frame(data: bytes, now_s: float, sent_s: dict[int, float]) -> None:
    """Remember when a request was sent, if it is a frame."""
    request = parse_request(data)
    if request.WhichOneof("body") == "frame":
        sent_s[request.frame.frame_id] = now_s


def equal_frames(now: StreamReplies, then: StreamReplies) -> tuple[int, int] | None:
    """(equal, compared) frames that both sides rendered; None when a codec is lossy."""
    sides = [side.accepted for side in (now, then)]
    if any(side is None or not side.codecs.picture.lossless for side in sides):
        return None
    both = now.frames.keys() & then.frames.keys()
    equal = sum(np.array_equal(now.frames[one], then.frames[one]) for one in both)
    return equal, len(both)


def report(now: StreamReplies, then: StreamReplies) -> dict[str, Any]:
    """Both sides' numbers, ready for JSON."""
    sides = {"recorded": then, "replayed": now}
    comparison: dict[str, Any] = {
        name: {
            **{kind: side.counts[kind] for kind in ("rendered", "dropped", "failed")},
            "latency_ms": _percentiles(side.latency_ms),
            "ended": side.ended,
        }
        for name, side in sides.items()
    }
    equal = equal_frames(now, then)
    comparison["pictures"] = None if equal is None else {"equal": equal[0], "compared": equal[1]}
    return comparison


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return asdict(percentiles(values))


def table_of(comparison: dict[str, Any]) -> Table:
    """The report for a person."""
    table = Table("", "recorded", "replayed")
    for kind in ("rendered", "dropped", "failed"):
        table.add_row(kind, *(str(comparison[side][kind]) for side in ("recorded", "replayed")))
    for name in ("p50", "p90", "p99"):
        times = [comparison[side]["latency_ms"] for side in ("recorded", "replayed")]
        table.add_row(
            f"latency {name}, ms", *("-" if t is None else f"{t[name]:.1f}" for t in times)
        )
    table.add_row("ended", *(comparison[side]["ended"] or "-" for side in ("recorded", "replayed")))
    return table
