"""Films a take as the game would draw it: `python -m street.game.record_take TAKE`.

Pictures and geometry come from the very stage that the game plays on. What a film's folder holds
is in `street.city.clip_folder`; who directed the take is unknown here.
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
    PICTURES,
    CameraLog,
    FrameCamera,
    Geometry,
    begin_clip_folder,
    save_clip_folder,
)
from street.city.figure import PARTS
from street.city.poses import CAR_PARTS
from street.city.take import LEVELS, Level, Take, load_take
from street.game.display import INSTALL_GL
from street.game.frame import Camera, half_motion
from street.game.scene_renderer import Exposure, SceneRenderer

PIPES = ("auto", "egl", "software")
CRF = 6
"""x264's quality of the pictures: what is lost is mostly that of 4:2:0 colour."""


def film(take: Take, out: Path, *, pipe: str = "auto", level: Level | None = None) -> None:
    """Writes the film of a take to the folder `out`, at `level` or the one on its slate.

    The same take on the same renderer gives equal files. Raises ValueError for a take whose tracks
    do not fit its plan, an unknown level or pipe, and where there is no GL: depth and motion come
    from nothing else. A film that was in `out` is gone from the start.
    """
    slate = take.slate
    _check(take, pipe)
    chosen = level if level is not None else slate.level
    try:
        stage = SceneRenderer(slate.plan, chosen, slate.width, slate.height, pipe=pipe)
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    with stage:
        if stage.display.geometry is None:
            raise ValueError(
                f"take {slate.id} cannot be filmed by the software renderer, which gives no depth, "
                f"motion or part numbers; {INSTALL_GL}, and film with --pipe egl"
            )
        begin_clip_folder(out)
        geometry, cameras = _shoot(take, stage, out / PICTURES)
        log = CameraLog(
            slate.id, chosen, stage.display.name, slate.width, slate.height, slate.fps, cameras
        )
    save_clip_folder(out, geometry, log)


def _check(take: Take, pipe: str) -> None:
    plan, frames = take.slate.plan, len(take)
    if pipe not in PIPES:
        raise ValueError(f"a film cannot be drawn on pipe {pipe!r}; use one of {', '.join(PIPES)}")
    movers = len(plan.walkers) + len(plan.cars)
    parts = len(PARTS) * len(plan.walkers) + CAR_PARTS * len(plan.cars)
    wanted = {
        "parts": (frames, parts, 4, 4),
        "shadows": (frames, movers, 4, 4),
        "eye": (frames, 3),
        "axes": (frames, 3, 3),
    }
    for name, shape in wanted.items():
        have = getattr(take, name).shape
        if have != shape or frames == 0:
            raise ValueError(
                f"the tracks of take {take.slate.id} do not fit its plan: {name} is {have}, "
                f"not {shape}, or it has no frames; direct it again"
            )


def _shoot(
    take: Take, stage: SceneRenderer, pictures: Path
) -> tuple[Geometry, tuple[FrameCamera, ...]]:
    slate = take.slate
    shape = len(take), slate.height, slate.width
    geometry = Geometry(
        np.empty(shape, np.float16), np.empty((*shape, 2), np.float16), np.empty(shape, np.uint16)
    )
    cameras = []
    with VideoWriter(pictures, slate.fps, crf=CRF, repeatable=True) as video:
        for frame in range(len(take)):
            view = take.viewpoint(frame)
            taken = stage.expose(view, take.parts[frame], take.shadows[frame])
            video.write(taken.shot.rgb)
            _keep(geometry, frame, taken)
            cameras.append(_frame_camera(taken.camera))
    return geometry, tuple(cameras)


def _keep(geometry: Geometry, frame: int, taken: Exposure) -> None:
    shot = taken.shot
    assert shot.depth is not None
    assert shot.part is not None
    assert taken.motion is not None
    geometry.depth[frame] = shot.depth
    geometry.motion[frame] = half_motion(taken.motion)
    geometry.part[frame] = shot.part


def _frame_camera(camera: Camera) -> FrameCamera:
    values = (np.asarray(getattr(camera, field.name)).tolist() for field in fields(FrameCamera))
    return FrameCamera(*values)


def main(arguments: Sequence[str]) -> int:
    """Run the command: 0, or 2 and one line on what is wrong."""
    parser = argparse.ArgumentParser("film", description="Film a take: pictures and geometry.")
    parser.add_argument("take", type=Path, help="folder of the take")
    parser.add_argument("--out", type=Path, required=True, help="folder of the film")
    parser.add_argument("--pipe", choices=PIPES, default="auto", help="renderer (auto)")
    parser.add_argument("--level", choices=LEVELS, help="in place of the one on the take's slate")
    chosen = parser.parse_args(arguments)
    try:
        film(load_take(chosen.take), chosen.out, pipe=chosen.pipe, level=chosen.level)
    except (ValueError, OSError) as error:
        print(f"film: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
