"""Long videos, read second by second: drift, structure by the minute, answers to the prompt.

A minute of video does not fit a small machine's memory; a second does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from c2r.clips import Image, read_clip
from c2r.models.dino import DinoEncoder
from trainer.evaluate.metrics.drift import (
    STATISTICS,
    Drift,
    change,
    drift,
    end_length,
    imaging_statistics,
)
from trainer.evaluate.metrics.prompt import ATTRIBUTES, PromptClassifier, frame_names
from trainer.evaluate.metrics.structure import gram_agreement, tokens
from trainer.evaluate.metrics.temporal import frame_steps
from trainer.evaluate.videos import Frames, video_rate, video_size

MOMENTS = 5
"""Frames of the strip: of a minute those at 0, 15, 30, 45 and 60 s."""


@dataclass(frozen=True, eq=False)
class LongVideo:
    """Measurements of one long video.

    `steps`: mean absolute difference of each frame to the next, in levels of 255.
    `agreement_by_minute`: structure agreement with the coarse video, one value per minute begun;
    `agreement_ends`: of the first and the last seconds; both None without a coarse video. `shown`:
    the hour and weather recognised in each frame, empty without a classifier. `strip`: frames
    `[5, H, W, 3]` at `strip_seconds`; `coarse_strip`: those of the coarse video.
    """

    frames: int
    fps: float
    drift: Drift
    steps: tuple[float, ...]
    agreement_by_minute: tuple[float, ...] | None
    agreement_ends: tuple[float, float] | None
    shown: Mapping[str, tuple[str, ...]]
    strip: Frames
    strip_seconds: tuple[float, ...]
    coarse_strip: Frames | None = None

    def change_from(self, fresh: Path) -> dict[str, float]:
        """Change of each imaging statistic at the end, from `fresh`: what the stream's age changed.

        `fresh` ends with the same coarse frames, rendered by a stream that started shortly before.
        `ValueError` for a video of another size, or one too short to hold the last seconds.
        """
        height, width = self.strip.shape[1:3]
        if video_size(fresh) != (width, height):
            raise ValueError(f"{fresh} is not {width}x{height}, the size of the --drift video")
        frames = read_clip(fresh, width=width, height=height, fps=self.fps)
        rows = [imaging_statistics(frame) for frame in frames]
        count = self.drift.end_frames
        if len(rows) < count:
            raise ValueError(f"{fresh} has {len(rows)} frames; the end compared is {count}")
        fresh_end = np.mean(rows[-count:], axis=0)
        return {
            name: change(float(new), self.drift.end[name])
            for name, new in zip(STATISTICS, fresh_end, strict=True)
        }

    @property
    def agreement_change(self) -> float | None:
        """Relative change of structure agreement from begin to end."""
        return None if self.agreement_ends is None else change(*self.agreement_ends)

    @property
    def shown_by_second(self) -> dict[str, tuple[str, ...]]:
        """What the first frame of each second shows, by attribute."""
        step = max(1, round(self.fps))
        return {name: names[::step] for name, names in self.shown.items()}


def measure_long(
    video: Path,
    coarse: Path | None = None,
    *,
    dino: DinoEncoder | None = None,
    classifier: PromptClassifier | None = None,
) -> LongVideo:
    """Read `video` once, second by second. `ValueError` when it cannot be read, has one frame, or
    has another size or number of frames than `coarse`.
    """
    rate, size = video_rate(video), video_size(video)
    statistics: list[tuple[float, ...]] = []
    steps: list[float] = []
    last: Frames | None = None
    agreement: list[float] = []
    shown: dict[str, list[str]] = {}
    seconds = _seconds(video, size, rate)
    beside = None if coarse is None or dino is None else _coarse_seconds(coarse, video, size, rate)
    for frames in seconds:
        statistics += [imaging_statistics(frame) for frame in frames]
        steps += frame_steps(frames if last is None else np.concatenate([last, frames]))
        last = frames[-1:]
        if beside is not None and dino is not None:
            theirs = _matching(beside, len(frames), coarse, video)
            agreement += _agreement(dino, frames, theirs)
        if classifier is not None:
            for name, names in frame_names(classifier, frames).items():
                shown.setdefault(name, []).extend(names)
    if beside is not None and next(beside, None) is not None:
        raise ValueError(f"{coarse} is longer than {video}; give the one it was rendered from")
    count = len(statistics)
    moments = sorted({round(place) for place in np.linspace(0, count - 1, MOMENTS)})
    return LongVideo(
        frames=count,
        fps=rate,
        drift=drift(statistics, rate),
        steps=tuple(steps),
        agreement_by_minute=_by_minute(agreement, rate) if agreement else None,
        agreement_ends=_ends(agreement, rate) if agreement else None,
        shown={name: tuple(names) for name, names in shown.items()},
        strip=_frames_at(video, size, rate, moments),
        strip_seconds=tuple(place / rate for place in moments),
        coarse_strip=None if coarse is None else _frames_at(coarse, size, rate, moments),
    )


def _seconds(path: Path, size: tuple[int, int], rate: float) -> Iterator[Frames]:
    frames = read_clip(path, width=size[0], height=size[1], fps=rate)
    while part := list(islice(frames, max(1, round(rate)))):
        yield np.stack(part)


def _coarse_seconds(
    coarse: Path, video: Path, size: tuple[int, int], rate: float
) -> Iterator[Frames]:
    other = video_size(coarse)
    if other != size:
        raise ValueError(
            f"{coarse} is {other[0]}x{other[1]}, {video} is {size[0]}x{size[1]}; structure is "
            "compared at one size"
        )
    return _seconds(coarse, size, rate)


def _matching(beside: Iterator[Frames], count: int, coarse: Path | None, video: Path) -> Frames:
    theirs = next(beside, None)
    if theirs is None or len(theirs) != count:
        raise ValueError(
            f"{coarse} has not as many frames as {video}; give the video it was rendered from"
        )
    return theirs


def _agreement(dino: DinoEncoder, ours: Frames, theirs: Frames) -> list[float]:
    pair = tokens(dino, ours), tokens(dino, theirs)
    return [gram_agreement(a[None], b[None]) for a, b in zip(*pair, strict=True)]


def _by_minute(agreement: list[float], rate: float) -> tuple[float, ...]:
    step = max(1, round(60 * rate))
    starts = range(0, len(agreement), step)
    return tuple(float(np.mean(agreement[start : start + step])) for start in starts)


def _ends(agreement: list[float], rate: float) -> tuple[float, float]:
    count = end_length(len(agreement), rate)
    return float(np.mean(agreement[:count])), float(np.mean(agreement[-count:]))


def _frames_at(
    path: Path, size: tuple[int, int], rate: float, places: list[int]
) -> NDArray[np.uint8]:
    frames = read_clip(path, width=size[0], height=size[1], fps=rate)
    kept: list[Image] = [frame for place, frame in enumerate(frames) if place in places]
    return np.stack(kept)


@dataclass(frozen=True)
class Switch:
    """A change of prompt in mid-stream: from second `at` on, `attribute` should be `name`."""

    at: float
    attribute: str
    name: str


def parse_switch(text: str) -> Switch:
    """`20:hour=night` as a switch; `ValueError` for anything else."""
    at, colon, rest = text.partition(":")
    attribute, equals, name = rest.partition("=")
    try:
        seconds = float(at)
    except ValueError:
        seconds = -1.0
    if not (colon and equals and name and attribute in ATTRIBUTES and seconds >= 0):
        raise ValueError(f"{text!r} is no change of prompt; write SECONDS:hour=NAME or :weather=")
    return Switch(seconds, attribute, name)


def answer(video: LongVideo, switch: Switch) -> dict[str, float | None]:
    """How a video answers: `delay_s` from the switch to the first frame recognised as prompted
    (None: never), and the `share` of the frames from the switch on that are.

    `ValueError` when the video ends before, or when nothing was recognised in it.
    """
    if switch.attribute not in video.shown:
        raise ValueError("--switch needs the classifier; give --data to train it")
    after = video.shown[switch.attribute][round(switch.at * video.fps) :]
    if not after:
        raise ValueError(f"the video ends before the change of prompt at {switch.at:g} s")
    right = [name == switch.name for name in after]
    delay = right.index(True) / video.fps if any(right) else None
    return {"delay_s": delay, "share": float(np.mean(right))}
