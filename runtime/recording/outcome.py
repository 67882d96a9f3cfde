"""What came back on one stream of a recording or of its replay, and how the two compare."""

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
    PictureDecoder,
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
class Outcome:
    """What came back on one stream, with seconds of some clock."""

    accepted: Accepted | None = None
    accepted_s: float = 0.0
    pictures: dict[int, Image] = field(default_factory=dict)
    replies: Counter[str] = field(default_factory=Counter)
    latency_ms: list[float] = field(default_factory=list)
    ended: str = ""
    _decoder: PictureDecoder | None = None

    def take(self, data: bytes, now_s: float, sent_s: dict[int, float]) -> None:
        """One response; `sent_s`: when each frame was sent."""
        body = unpack_response(parse_response(data))
        if isinstance(body, Accepted):
            self.accepted, self.accepted_s = body, now_s
            self._decoder = PictureDecoder(body)
        elif isinstance(body, Ended):
            self.ended = f"{body.reason}: {body.message}"
        elif isinstance(body, pb.FrameReply):
            if self._decoder is None:
                raise ValueError("a frame was answered before the session was accepted")
            reply = self._decoder.decode(body)
            if isinstance(reply, RenderedFrame):
                self.pictures[reply.frame_id] = reply.rgb
                self.replies["rendered"] += 1
                if reply.frame_id in sent_s:
                    self.latency_ms.append((now_s - sent_s[reply.frame_id]) * 1000)
            else:
                self.replies["dropped" if isinstance(reply, DroppedFrame) else "failed"] += 1


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


def recorded_outcome(entries: Iterable[Entry]) -> Outcome:
    """What the server answered then."""
    outcome, sent_s = Outcome(), dict[int, float]()
    for entry in entries:
        if entry.kind is Kind.RESPONSE:
            outcome.take(entry.data, entry.time_us / 1e6, sent_s)
        elif entry.kind is Kind.REQUEST:
            note_frame(entry.data, entry.time_us / 1e6, sent_s)
    return outcome


def note_frame(data: bytes, now_s: float, sent_s: dict[int, float]) -> None:
    """Remember when a request was sent, if it is a frame."""
    request = parse_request(data)
    if request.WhichOneof("body") == "frame":
        sent_s[request.frame.frame_id] = now_s


def same_pictures(now: Outcome, then: Outcome) -> tuple[int, int] | None:
    """(equal, compared) pictures of frames that both rendered; None when a codec is lossy."""
    sides = [side.accepted for side in (now, then)]
    if any(side is None or not side.codecs.picture.lossless for side in sides):
        return None
    both = now.pictures.keys() & then.pictures.keys()
    equal = sum(np.array_equal(now.pictures[one], then.pictures[one]) for one in both)
    return equal, len(both)


def report(now: Outcome, then: Outcome) -> dict[str, Any]:
    """Both sides' numbers, ready for JSON."""
    sides = {"recorded": then, "replayed": now}
    made: dict[str, Any] = {
        name: {
            **{kind: side.replies[kind] for kind in ("rendered", "dropped", "failed")},
            "latency_ms": _percentiles(side.latency_ms),
            "ended": side.ended,
        }
        for name, side in sides.items()
    }
    same = same_pictures(now, then)
    made["pictures"] = None if same is None else {"equal": same[0], "compared": same[1]}
    return made


def _percentiles(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    return asdict(percentiles(values))


def table_of(made: dict[str, Any]) -> Table:
    """The report for a person."""
    table = Table("", "recorded", "replayed")
    for kind in ("rendered", "dropped", "failed"):
        table.add_row(kind, *(str(made[side][kind]) for side in ("recorded", "replayed")))
    for name in ("p50", "p90", "p99"):
        times = [made[side]["latency_ms"] for side in ("recorded", "replayed")]
        table.add_row(
            f"latency {name}, ms", *("-" if t is None else f"{t[name]:.1f}" for t in times)
        )
    table.add_row("ended", *(made[side]["ended"] or "-" for side in ("recorded", "replayed")))
    return table
