"""Where `c2r render` writes: refused or tried before anything is loaded and rendered."""

from __future__ import annotations

import tempfile
from pathlib import Path

from c2r.clips import Image, VideoWriter, write_image


def check_output(source: Path, output: Path) -> None:
    """`ValueError` for an output that is not to be written, `OSError` for one that cannot be.

    Makes the output's folder.
    """
    if output.suffix not in ("", ".mp4"):
        raise ValueError(f"--output {output}: give a .mp4 file, or a folder for PNGs")
    if _same(source, output):
        raise ValueError(f"--output {output} is the input too, which it would overwrite")
    video = output.suffix == ".mp4"
    if output.exists() and output.is_dir() == video:
        found, wanted = ("folder", ".mp4 file") if video else ("file", "folder")
        raise ValueError(f"--output {output} is a {found} already; give a {wanted}")
    folder = output.parent if video else output
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        if output.is_file():
            output.open("r+b").close()
    except OSError as error:
        raise OSError(f"--output {output}: nothing can be written there: {error}") from error


def write_output(output: Path, frames: list[Image], fps: int) -> None:
    """An mp4 by its suffix, else a folder of numbered PNGs."""
    if output.suffix == ".mp4":
        with VideoWriter(output, fps) as writer:
            for frame in frames:
                writer.write(frame)
    else:
        for index, frame in enumerate(frames):
            write_image(output / f"{index:05}.png", frame)


def _same(source: Path, output: Path) -> bool:
    """Links and other spellings included."""
    if source.exists() and output.exists():
        return source.samefile(output)
    return source.resolve() == output.resolve()
