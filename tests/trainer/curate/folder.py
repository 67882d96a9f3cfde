"""A folder of videos, and what curation should make of each."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from tests.trainer.curate import footage
from tests.trainer.curate.footage import pan, write

UNICODE = "spaces und Ünïcode 視 <b>.mp4"
SEVENTH = [0, *np.cumsum([20, 90] * 25).tolist()]
"""Milliseconds of footage at a variable rate."""

KEPT = {
    "good.mp4": 2,
    "sub/ntsc.mp4": 2,
    "sub/ntsc30.mkv": 2,
    "rotated.mov": 1,
    "vfr.mp4": 2,
    UNICODE: 1,
    "cutoff.mp4": 1,
    "cutoff.mkv": 1,
    "holed.mp4": 2,
}
"""Clips of 17 frames that each file gives."""

REJECTED = {
    "cuts.mp4": "short",
    "still.mp4": "still",
    "dark.mp4": "dark",
    "bright.mp4": "overexposed",
    "blurred.mp4": "blurred",
    "bars.mp4": "letterbox",
    "logo.mp4": "overlaid",
    "choppy.mp4": "choppy",
    "short.mp4": "short",
    "small.mp4": "small",
    "sound.mp4": "no video",
    "garbage.mp4": "unreadable",
    "empty.mp4": "unreadable",
    "headless.mp4": "unreadable",
    "cutoff.mp4": "damaged",
    "cutoff.mkv": "damaged",
    "holed.mp4": "damaged",
}
"""A reason that must be given for each file, apart from what its scenes leave over."""


def make(folder: Path) -> Path:
    """Write all of it."""
    (folder / "sub").mkdir(parents=True)
    write(folder / "good.mp4", pan(1, 60))
    write(folder / "sub/ntsc.mp4", pan(2, 60), Fraction(24000, 1001))
    write(folder / "sub/ntsc30.mkv", pan(3, 70), Fraction(30000, 1001))
    write(folder / "vfr.mp4", pan(12, len(SEVENTH)), times=SEVENTH)
    write(folder / "rotated.mov", [np.rot90(one, -1) for one in pan(11, 40)], rotation=90)
    write(folder / UNICODE, pan(15, 32))
    _filtered(folder)
    _broken(folder)
    (folder / "notes.doc").write_text("not a video")
    return folder


def _filtered(folder: Path) -> None:
    write(folder / "cuts.mp4", [one for seed in range(20, 28) for one in pan(seed, 9)])
    write(folder / "still.mp4", pan(4, 1) * 40)
    write(folder / "dark.mp4", footage.scaled(pan(5, 32), 0.12))
    write(folder / "bright.mp4", footage.scaled(pan(5, 32), 1.5, 150))
    write(folder / "blurred.mp4", footage.blurred(pan(6, 32)))
    write(folder / "bars.mp4", footage.barred(pan(7, 32)))
    write(folder / "logo.mp4", footage.logo(pan(8, 32)))
    write(folder / "choppy.mp4", pan(13, 20, speed=4), 8)
    write(folder / "short.mp4", pan(9, 6))
    write(folder / "small.mp4", pan(10, 32, 96, 64))


def _broken(folder: Path) -> None:
    rng = np.random.default_rng(0)
    footage.write_sound(folder / "sound.mp4")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "garbage.mp4").write_bytes(rng.bytes(20_000))
    # Without its index, which this kind of file has at its end.
    _part(folder / "good.mp4", folder / "headless.mp4", 0.5)
    # With the index in front the beginning can be played.
    whole = write(folder / "whole.mp4", pan(14, 90), options={"movflags": "faststart"})
    _part(whole, folder / "cutoff.mp4", 0.55)
    hole = bytearray(whole.read_bytes())
    middle = int(len(hole) * 0.6)
    hole[middle : middle + 3000] = rng.bytes(3000)
    (folder / "holed.mp4").write_bytes(hole)
    whole.unlink()
    whole = write(folder / "whole.mkv", pan(14, 90))
    _part(whole, folder / "cutoff.mkv", 0.55)
    whole.unlink()


def _part(whole: Path, part: Path, share: float) -> None:
    data = whole.read_bytes()
    part.write_bytes(data[: int(len(data) * share)])


def arguments(videos: Path, out: Path, *more: str) -> list[str]:
    """A command line for small clips of these videos."""
    small: Sequence[str] = ("--frames", "17", "--size", "160x96", "--licence", "CC0")
    return [str(videos), "--out", str(out), *small, "--caption", "a pattern", "--jobs", "2", *more]
