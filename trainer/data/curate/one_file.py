"""All that is done to one file, from its bytes to its clips and its record.

Runs in a worker process or on a node of a cluster, and touches nothing of other files. Only a fault
of the file is caught and recorded; a full disk, for example, ends the run. The record is written
last: without it the file is not done, and its clips are removed and made again.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import asdict
from hashlib import sha256

import cv2
import numpy as np
from PIL import Image as Pillow

from c2r.clips import VideoWriter
from c2r.clips.fit import Image
from trainer.data.curate.caption import captioner_of
from trainer.data.curate.decode import Unreadable, VideoFile
from trainer.data.curate.quality import Measured, judge, measure
from trainer.data.curate.scenes import by_scene
from trainer.data.curate.segments import Segment, resample, segments
from trainer.data.curate.state import (
    Preview,
    Record,
    Rejection,
    RunOptions,
    Task,
    clear,
    clip_path,
    prefix_of,
    write_record,
)
from trainer.data.manifest import Clip
from trainer.data.manifest_checks import MOST_CAPTION, file_hash

_PREVIEWS = 3
"""Strips that a file gives to the report, for each reason."""
_DIGITS = 6
"""Significant digits of what was measured."""


def curate_file(task: Task, options: RunOptions) -> None:
    """Write the clips of a file and then its record."""
    cv2.setNumThreads(1)  # files are processed in parallel already
    clear(task, options)
    write_record(_Curation(task, options).run(), options)


class _Curation:
    """Collects the record of one file."""

    def __init__(self, task: Task, options: RunOptions) -> None:
        self.task, self.options, self.settings = task, options, options.settings
        self.record = Record(task.source.name, task.fingerprint)

    def run(self) -> Record:
        """Take every segment of the video, then record how it ended."""
        settings, video = self.settings, VideoFile(self.task.source.path)
        samples = resample(by_scene(video, settings.scenes), settings.fps, settings.scenes.gap_s)
        try:
            for segment in segments(samples, settings.frames, (settings.width, settings.height)):
                self._take(segment)
        except Unreadable as error:
            self._reject_file(error.reason, str(error), None)
        else:
            if video.damaged is not None:
                self._reject_file("damaged", video.damaged, round(video.seconds, 3))
        return self.record

    def _take(self, segment: Segment) -> None:
        if segment.kind != "whole":
            detail = f"{len(segment.frames)} of {self.settings.frames} frames"
            self._reject(segment, [segment.kind], detail, {})
            return
        measured = measure(segment, self.settings.fps)
        values = {name: _rounded(value) for name, value in asdict(measured).items()}
        reasons = judge(measured, self.settings)
        if reasons:
            self._reject(segment, reasons, "", values)
            return
        caption = self._caption(segment.frames)
        if 0 < len(caption) <= MOST_CAPTION:
            self._keep(segment, caption, measured)
        else:
            detail = f"{len(caption)} characters; 1 to {MOST_CAPTION} are possible"
            self._reject(segment, ["caption"], detail, values)

    def _caption(self, frames: Sequence[Image]) -> str:
        if self.task.caption is not None:
            return self.task.caption
        assert self.options.captioner is not None, "the command checks that there is one"
        return captioner_of(self.options.captioner, self.settings.captioner)(frames)

    def _keep(self, segment: Segment, caption: str, measured: Measured) -> None:
        name, settings = self.record.name, self.settings
        clip = f"{prefix_of(name)}-{segment.start:06}"
        path = clip_path(self.options, clip)
        with VideoWriter(path, settings.fps, crf=settings.crf, repeatable=True) as writer:
            for frame in segment.frames:
                writer.write(frame)
        attributes = {"file": name, "start_s": f"{segment.start / settings.fps:.4f}"}
        attributes |= {key: f"{value:.{_DIGITS}g}" for key, value in asdict(measured).items()}
        row = Clip(
            id=clip,
            source="real",
            video=path.relative_to(self.options.out).as_posix(),
            control=None,
            caption=caption,
            fps=float(settings.fps),
            frames=settings.frames,
            width=settings.width,
            height=settings.height,
            seed=None,
            licence=self.options.licence,
            hash=file_hash(path),
            control_hash=None,
            split="held_out" if _unit_hash(name) < settings.held_out else "train",
            attributes=attributes,
        )
        self.record.clips.append(row)
        self._preview(segment, clip, "")

    def _reject(
        self, segment: Segment, reasons: list[str], detail: str, values: dict[str, float]
    ) -> None:
        start = segment.start / self.settings.fps
        end = start + len(segment.frames) / self.settings.fps
        row = Rejection(self.record.name, start, end, reasons[0], reasons[1:], detail, values)
        self.record.rejected.append(row)
        if segment.kind != "remainder":
            self._preview(segment, f"{self.record.name} {start:.2f} s", reasons[0])

    def _reject_file(self, reason: str, detail: str, start_s: float | None) -> None:
        row = Rejection(self.record.name, start_s, None, reason, [], detail, {})
        self.record.rejected.append(row)

    def _preview(self, segment: Segment, title: str, reason: str) -> None:
        if sum(preview.reason == reason for preview in self.record.previews) < _PREVIEWS:
            self.record.previews.append(Preview(title, reason, _strip(segment.frames)))


def write_crashed(task: Task, options: RunOptions) -> None:
    """The record of a file that crashed its process."""
    clear(task, options)
    detail = "the process that decoded it died"
    row = Rejection(task.source.name, None, None, "crashed", [], detail, {})
    write_record(Record(task.source.name, task.fingerprint, rejected=[row]), options)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _unit_hash(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(sha256(f"split {name}".encode()).digest()[:8]) / 2**64


def _strip(frames: Sequence[Image]) -> str:
    """First, middle and last frame side by side, with a line between."""
    shown = [frames[0], frames[len(frames) // 2], frames[-1]]
    height = round(150 * shown[0].shape[0] / shown[0].shape[1])
    small = [cv2.resize(one, (150, height), interpolation=cv2.INTER_AREA) for one in shown]
    ruled = [np.pad(one, ((0, 0), (0, 2), (0, 0)), constant_values=255) for one in small]
    file = io.BytesIO()
    Pillow.fromarray(np.concatenate(ruled, axis=1)).save(file, "JPEG", quality=70)
    return base64.b64encode(file.getvalue()).decode()
