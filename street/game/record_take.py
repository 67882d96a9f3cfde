"""Records a take as a coarse clip: `python -m street.game.record_take TAKE --out FOLDER`.

Frames and geometry come from the renderer that the game itself uses. `street.city.clip_folder` says
what the folder holds. It does not know who directed the take.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from c2r.clips import VideoWriter
from street.city.clip_folder import (
    COARSE_VIDEO,
    CameraLog,
    FrameCamera,
    Geometry,
    clear_clip_folder,
    save_clip_folder,
)
from street.city.figure import PARTS
from street.city.poses import CAR_PARTS
from street.city.take import LEVELS, Level, Take, load_take
from street.game.display import INSTALL_GL
from street.game.frame import Camera, half_motion
from street.game.scene_renderer import SceneFrame, SceneRenderer

PIPES = ("auto", "egl", "software")
CRF = 6
"""x264's quality of the video: most of the loss is that of 4:2:0 colour."""


def record_take(take: Take, out: Path, *, pipe: str = "auto", level: Level | None = None) -> None:
    """Writes the coarse clip of a take to the folder `out`, at `level` or the one in its header.

    The same take on the same renderer gives equal files. Raises ValueError for a take whose tracks
    do not fit its plan, an unknown level or pipe, and where there is no GL: depth and motion come
    from nothing else. A clip that was in `out` is removed
    before the first frame.
    """
    header = take.header
    _check(take, pipe)
    chosen = level if level is not None else header.level
    try:
        renderer = SceneRenderer(header.plan, chosen, header.width, header.height, pipe=pipe)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    with renderer:
        if renderer.display.geometry is None:
            raise ValueError(
                f"take {header.id} cannot be recorded by the software renderer, which gives no "
                f"depth, motion or part numbers; {INSTALL_GL}, and record with --pipe egl"
            )
        clear_clip_folder(out)
        geometry, cameras = _record(take, renderer, out / COARSE_VIDEO)
        log = CameraLog(
            header.id,
            chosen,
            renderer.display.name,
            header.width,
            header.height,
            header.fps,
            cameras,
        )
    save_clip_folder(out, geometry, log)


def _check(take: Take, pipe: str) -> None:
    plan, frames = take.header.plan, len(take)
    if pipe not in PIPES:
        raise ValueError(
            f"a take cannot be recorded on pipe {pipe!r}; use one of {', '.join(PIPES)}"
        )
    movers = len(plan.walkers) + len(plan.cars)
    parts = len(PARTS) * len(plan.walkers) + CAR_PARTS * len(plan.cars)
    wanted = {
        "parts": (frames, parts, 4, 4),
        "shadows": (frames, movers, 4, 4),
        "eye": (frames, 3),
        "axes": (frames, 3, 3),
    }
    # Tracks of another plan would render without an error, each part at the place of a neighbour.
    for name, shape in wanted.items():
        have = getattr(take, name).shape
        if have != shape or frames == 0:
            raise ValueError(
                f"the tracks of take {take.header.id} do not fit its plan: {name} is {have}, "
                f"not {shape}, or it has no frames; direct it again"
            )


def _record(
    take: Take, renderer: SceneRenderer, video_path: Path
) -> tuple[Geometry, tuple[FrameCamera, ...]]:
    header = take.header
    shape = len(take), header.height, header.width
    geometry = Geometry(
        np.empty(shape, np.float16), np.empty((*shape, 2), np.float16), np.empty(shape, np.uint16)
    )
    cameras = []
    with VideoWriter(video_path, header.fps, crf=CRF, repeatable=True) as video:
        for frame in range(len(take)):
            view = take.viewpoint(frame)
            rendered = renderer.render(view, take.parts[frame], take.shadows[frame])
            video.write(rendered.buffers.rgb)
            _store(geometry, frame, rendered)
            cameras.append(_frame_camera(rendered.camera))
    return geometry, tuple(cameras)


def _store(geometry: Geometry, frame: int, rendered: SceneFrame) -> None:
    buffers = rendered.buffers
    assert buffers.depth is not None
    assert buffers.part is not None
    assert rendered.motion is not None
    geometry.depth[frame] = buffers.depth
    geometry.motion[frame] = half_motion(rendered.motion)
    geometry.part[frame] = buffers.part


def _frame_camera(camera: Camera) -> FrameCamera:
    values = (np.asarray(getattr(camera, field.name)).tolist() for field in fields(FrameCamera))
    return FrameCamera(*values)


def main(arguments: Sequence[str]) -> int:
    """Run the command: 0, or 2 and one line on what is wrong."""
    parser = argparse.ArgumentParser(
        "record_take", description="Record a take: coarse video and exact geometry."
    )
    parser.add_argument("take", type=Path, help="folder of the take")
    parser.add_argument("--out", type=Path, required=True, help="folder of the clip")
    parser.add_argument("--pipe", choices=PIPES, default="auto", help="renderer (auto)")
    parser.add_argument("--level", choices=LEVELS, help="in place of the one in the take's header")
    chosen = parser.parse_args(arguments)
    try:
        record_take(load_take(chosen.take), chosen.out, pipe=chosen.pipe, level=chosen.level)
    except (ValueError, OSError) as error:
        print(f"record_take: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
