"""All that is done to one file, from its bytes to its clips and its record.

Runs in a process of its own or on a node of a cluster, and touches nothing of other files. Only a
fault of the file is caught and written down; a full disk, say, ends the run.
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
from trainer.data.curate.decode import Film, Unreadable
from trainer.data.curate.filters import judge
from trainer.data.curate.measure import Measured, measure
from trainer.data.curate.resample import resample
from trainer.data.curate.scenes import by_scene
from trainer.data.curate.state import (
    Look,
    Orders,
    Record,
    Rejection,
    Task,
    clear,
    clip_path,
    prefix_of,
    write_record,
)
from trainer.data.curate.windows import Window, windows
from trainer.data.manifest import Clip
from trainer.data.manifest_checks import MOST_CAPTION
from trainer.data.probe import file_hash

_LOOKS = 3
"""Strips that a file gives to the report, for each reason."""
_DIGITS = 6
"""Significant digits of what was measured."""


def curate_file(task: Task, orders: Orders) -> None:
    """Write the clips of a file and then its record."""
    cv2.setNumThreads(1)  # files are worked on side by side
    clear(task, orders)
    write_record(_Curation(task, orders).run(), orders)


class _Curation:
    """The record of one file in the making."""

    def __init__(self, task: Task, orders: Orders) -> None:
        self.task, self.orders, self.settings = task, orders, orders.settings
        self.record = Record(task.source.name, task.fingerprint)

    def run(self) -> Record:
        """Take every window of the film, then note how it ended."""
        settings, film = self.settings, Film(self.task.source.path)
        samples = resample(by_scene(film, settings.scenes), settings.fps, settings.scenes.gap_s)
        try:
            for window in windows(samples, settings.frames, (settings.width, settings.height)):
                self._take(window)
        except Unreadable as error:
            self._reject_file(error.reason, str(error), None)
        else:
            if film.damaged is not None:
                self._reject_file("damaged", film.damaged, round(film.seconds, 3))
        return self.record

    def _take(self, window: Window) -> None:
        if window.kind != "whole":
            detail = f"{len(window.pictures)} of {self.settings.frames} frames"
            self._reject(window, [window.kind], detail, {})
            return
        measured = measure(window, self.settings.fps)
        values = {name: _rounded(value) for name, value in asdict(measured).items()}
        reasons = judge(measured, self.settings)
        if reasons:
            self._reject(window, reasons, "", values)
            return
        caption = self._caption(window.pictures)
        if 0 < len(caption) <= MOST_CAPTION:
            self._keep(window, caption, measured)
        else:
            detail = f"{len(caption)} characters; 1 to {MOST_CAPTION} are possible"
            self._reject(window, ["caption"], detail, values)

    def _caption(self, pictures: Sequence[Image]) -> str:
        if self.task.caption is not None:
            return self.task.caption
        assert self.orders.captioner is not None, "the command sees to it that there is one"
        return captioner_of(self.orders.captioner, self.settings.captioner)(pictures)

    def _keep(self, window: Window, caption: str, measured: Measured) -> None:
        name, settings = self.record.name, self.settings
        clip = f"{prefix_of(name)}-{window.start:06}"
        path = clip_path(self.orders, clip)
        with VideoWriter(path, settings.fps, crf=settings.crf, repeatable=True) as writer:
            for picture in window.pictures:
                writer.write(picture)
        attributes = {"file": name, "start_s": f"{window.start / settings.fps:.4f}"}
        attributes |= {key: f"{value:.{_DIGITS}g}" for key, value in asdict(measured).items()}
        row = Clip(
            id=clip,
            source="real",
            video=path.relative_to(self.orders.out).as_posix(),
            control=None,
            caption=caption,
            fps=float(settings.fps),
            frames=settings.frames,
            width=settings.width,
            height=settings.height,
            seed=None,
            licence=self.orders.licence,
            hash=file_hash(path),
            control_hash=None,
            split="held_out" if _drawn(name) < settings.held_out else "train",
            attributes=attributes,
        )
        self.record.clips.append(row)
        self._look(window, clip, "")

    def _reject(
        self, window: Window, reasons: list[str], detail: str, values: dict[str, float]
    ) -> None:
        start = window.start / self.settings.fps
        end = start + len(window.pictures) / self.settings.fps
        row = Rejection(self.record.name, start, end, reasons[0], reasons[1:], detail, values)
        self.record.rejected.append(row)
        if window.kind != "remainder":
            self._look(window, f"{self.record.name} {start:.2f} s", reasons[0])

    def _reject_file(self, reason: str, detail: str, start_s: float | None) -> None:
        row = Rejection(self.record.name, start_s, None, reason, [], detail, {})
        self.record.rejected.append(row)

    def _look(self, window: Window, title: str, reason: str) -> None:
        if sum(look.reason == reason for look in self.record.looks) < _LOOKS:
            self.record.looks.append(Look(title, reason, _strip(window.pictures)))


def write_crashed(task: Task, orders: Orders) -> None:
    """The record of a file that brought its process down."""
    clear(task, orders)
    detail = "the process that decoded it died"
    row = Rejection(task.source.name, None, None, "crashed", [], detail, {})
    write_record(Record(task.source.name, task.fingerprint, rejected=[row]), orders)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")


def _drawn(name: str) -> float:
    """A number in [0, 1) that depends on the name alone."""
    return int.from_bytes(sha256(f"split {name}".encode()).digest()[:8]) / 2**64


def _strip(pictures: Sequence[Image]) -> str:
    """First, middle and last picture side by side, with a line between."""
    shown = [pictures[0], pictures[len(pictures) // 2], pictures[-1]]
    height = round(150 * shown[0].shape[0] / shown[0].shape[1])
    small = [cv2.resize(one, (150, height), interpolation=cv2.INTER_AREA) for one in shown]
    ruled = [np.pad(one, ((0, 0), (0, 2), (0, 0)), constant_values=255) for one in small]
    file = io.BytesIO()
    Pillow.fromarray(np.concatenate(ruled, axis=1)).save(file, "JPEG", quality=70)
    return base64.b64encode(file.getvalue()).decode()
