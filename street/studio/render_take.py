"""The fine clip of a take, by Blender Cycles:

    python -m street.studio.render_take TAKE --out DIR [--samples 4] [--threads 1] [--geometry]

writes `DIR/fine/0000.png` … and, with `--geometry`, `DIR/fine/0000.npz` (`depth` float32 [H, W] in
metres along the view, inf for the sky; `part` int32 [H, W], 0 still, k + 1 on part k) beside each.
Frames that exist are kept, so a run that was stopped continues: files appear by rename, so one that
exists is complete. Every line
on standard output is JSON: `{"frame": k, "frames": n}` after each frame.

Runs in the interpreter that has bpy, and needs the repository's root on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from street.city.take import Take, load_take


def main(arguments: list[str] | None = None) -> int:
    """Renders a take; returns the exit status, 2 when the take or an argument is wrong."""
    parser = argparse.ArgumentParser(prog="render_take", description="The fine clip of a take.")
    parser.add_argument("take", type=Path, help="folder of take.json and tracks.npz")
    parser.add_argument("--out", type=Path, required=True, help="frames go to OUT/fine")
    parser.add_argument("--samples", type=int, default=4, help="light paths per pixel (4)")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads (1)")
    parser.add_argument("--geometry", action="store_true", help="write depth and parts too")
    options = parser.parse_args(arguments)
    try:
        if options.samples < 1 or options.threads < 1:
            raise ValueError("--samples and --threads must be 1 or more")
        take = load_take(options.take)
    except ValueError as error:
        print(f"render_take: {error}", file=sys.stderr)
        return 2
    with _quiet() as lines:
        render_take(take, options.out / "fine", options, lines)
    return 0


def render_take(take: Take, folder: Path, options: argparse.Namespace, lines: TextIO) -> None:
    """Writes every frame that is not there yet, and a line of JSON after each."""
    # Blender takes a second to load: a finished clip does not wait for it.
    missing = [k for k in range(len(take)) if not _finished(folder, k, options.geometry)]
    folder.mkdir(parents=True, exist_ok=True)
    if missing:
        from street.studio.blender_scene import BlenderScene
        from street.studio.image_files import write_geometry, write_png

        scene = BlenderScene(take, samples=options.samples, threads=options.threads)
    for frame in range(len(take)):
        if frame in missing:
            if options.geometry:
                write_geometry(_path(folder, frame, "npz"), *scene.geometry(frame))
            if not _path(folder, frame, "png").exists():
                write_png(_path(folder, frame, "png"), scene.render(frame))
        print(json.dumps({"frame": frame + 1, "frames": len(take)}), file=lines, flush=True)


def _path(folder: Path, frame: int, ending: str) -> Path:
    return folder / f"{frame:04d}.{ending}"


def _finished(folder: Path, frame: int, geometry: bool) -> bool:
    endings = ("png", "npz") if geometry else ("png",)
    return all(_path(folder, frame, ending).exists() for ending in endings)


@contextmanager
def _quiet() -> Iterator[TextIO]:
    """Discards what Blender prints on standard output; yields the real one.

    Blender writes from C, past `sys.stdout`: the file descriptor itself is replaced.
    """
    real = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(nowhere, 1)
    try:
        yield real
    finally:
        os.dup2(kept, 1)
        real.close()
        os.close(nowhere)
        os.close(kept)


if __name__ == "__main__":
    sys.exit(main())
