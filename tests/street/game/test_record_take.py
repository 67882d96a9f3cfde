"""Recorded takes: exact geometry, equal twice, and unfinished clips are refused."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")

from street.city.clip_folder import (
    CAMERA,
    COARSE_VIDEO,
    GEOMETRY,
    CameraLog,
    Geometry,
    clear_clip_folder,
    load_clip_folder,
)
from street.city.take import LEVELS, Level, Take, save_take
from street.game import record_take as recording
from street.game.display import open_display
from street.game.record_take import record_take
from street.game.scene_renderer import SceneRenderer
from tests.street.small_takes import small_take

WIDTH, HEIGHT, FRAMES = 160, 90, 5
FILES = (COARSE_VIDEO, GEOMETRY, CAMERA)


@cache
def take() -> Take:
    return small_take(seed=6, frames=FRAMES, size=(WIDTH, HEIGHT), camera="pan")


@pytest.fixture(scope="module", autouse=True)
def _gl() -> None:
    try:
        open_display("egl", 8, 8).close()
    except RuntimeError as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> dict[Level, Path]:
    """The take at every level."""
    root = tmp_path_factory.mktemp("clips")
    for level in LEVELS:
        record_take(take(), root / level, pipe="egl", level=level)
    return {level: root / level for level in LEVELS}


def frames_of(folder: Path) -> NDArray[np.uint8]:
    with av.open(str(folder / COARSE_VIDEO)) as video:
        return np.array([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])


def unprojected(geometry: Geometry, log: CameraLog, frame: int) -> NDArray[np.float64]:
    """World points [H, W, 3] from depth and the camera alone; not finite for the sky."""
    camera = log.frames[frame]
    rows, columns = np.mgrid[: log.height, : log.width] + 0.5
    tall = np.tan(camera.fov_y / 2)
    depth = geometry.depth[frame].astype(float)
    right = (columns * 2 / log.width - 1) * tall * log.width / log.height
    up = (1 - rows * 2 / log.height) * tall
    with np.errstate(invalid="ignore"):
        return np.array(camera.position) + depth[..., None] * (
            np.array(camera.forward)
            + right[..., None] * np.array(camera.right)
            + up[..., None] * np.array(camera.up)
        )


@pytest.mark.parametrize("level", LEVELS)
def test_still_geometry_lands_where_motion_says(clips: dict[Level, Path], level: Level) -> None:
    """Points from depth, projected by the camera before: within half a pixel of the vectors. And
    the depth found there, where nothing hides it, is that of the point.
    """
    geometry, log = load_clip_folder(clips[level])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    most = 0.0
    for frame in range(1, FRAMES):
        still = (geometry.part[frame] == 0) & np.isfinite(geometry.depth[frame])
        assert still.mean() > 0.4
        before = log.frames[frame - 1].viewpoint(WIDTH / HEIGHT)
        points = unprojected(geometry, log, frame)[still]
        place, depth = before.pixels(points, WIDTH, HEIGHT)
        motion = geometry.motion[frame][still].astype(float)
        here = np.stack([columns, rows], axis=-1)[still]
        assert np.abs(here + motion - place).max() < 0.5
        most = max(most, float(np.abs(motion).max()))
        x, y = np.floor(here + motion).astype(int).T
        inside = (x >= 0) & (x < WIDTH) & (y >= 0) & (y < HEIGHT)
        found = geometry.depth[frame - 1][y[inside], x[inside]].astype(float)
        # A pixel of a wall seen from the side spans some depth.
        agree = np.abs(found / depth[inside] - 1) < 0.05
        assert agree.mean() > 0.85
    assert most > 2.0, "the camera must move for this to mean anything"


@pytest.mark.parametrize("level", LEVELS)
def test_moving_parts_carry_their_points_along(clips: dict[Level, Path], level: Level) -> None:
    geometry, log = load_clip_folder(clips[level])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    here, checked = np.stack([columns, rows], axis=-1), 0
    for frame in range(1, FRAMES):
        points = unprojected(geometry, log, frame)
        before = log.frames[frame - 1].viewpoint(WIDTH / HEIGHT)
        for number in np.unique(geometry.part[frame])[1:].tolist():
            mask = geometry.part[frame] == number
            now, then = take().parts[frame][number - 1], take().parts[frame - 1][number - 1]
            world = np.column_stack([points[mask], np.ones(mask.sum())])
            back = world @ np.linalg.inv(now) @ then
            place, _ = before.pixels(back[:, :3], WIDTH, HEIGHT)
            assert np.abs(here[mask] + geometry.motion[frame][mask] - place).max() < 0.5
            checked += 1
    assert checked >= 2 * FRAMES


def test_cameras_are_those_of_the_take_and_frame_0_has_no_past(clips: dict[Level, Path]) -> None:
    geometry, log = load_clip_folder(clips["mid"])
    assert (log.take, log.level, log.pipe) == (take().header.id, "mid", "egl")
    assert (log.width, log.height, log.fps) == (WIDTH, HEIGHT, 16.0)
    views = [camera.viewpoint(WIDTH / HEIGHT) for camera in log.frames]
    for frame, view in enumerate(views):
        assert np.allclose(view.world_to_clip, take().viewpoint(frame).world_to_clip)
        wanted = np.eye(4) if frame == 0 else view.clip_to_prev_clip(views[frame - 1])
        assert np.allclose(log.frames[frame].clip_to_prev_clip, wanted)
    assert np.isnan(geometry.motion[0]).all()
    assert np.isfinite(geometry.motion[1:]).mean() > 0.99
    assert np.isinf(geometry.depth).any(), "there is sky"
    dtypes = geometry.depth.dtype, geometry.motion.dtype, geometry.part.dtype
    assert dtypes == (np.float16, np.float16, np.uint16)


@pytest.mark.parametrize("level", LEVELS)
def test_a_take_recorded_twice_gives_equal_files(
    clips: dict[Level, Path], level: Level, tmp_path: Path
) -> None:
    record_take(take(), tmp_path, pipe="egl", level=level)
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (clips[level] / name).read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(FILES)


def test_the_video_holds_what_the_renderer_showed(clips: dict[Level, Path]) -> None:
    """In grey next to nothing is lost; in colour what 4:2:0 takes away."""
    header = take().header
    for level, psnr in (("humanoids", 44.0), ("mid", 30.0)):
        shown = frames_of(clips[level])  # type: ignore[index]
        assert shown.shape == (FRAMES, HEIGHT, WIDTH, 3)
        with SceneRenderer(header.plan, level, WIDTH, HEIGHT, pipe="egl") as renderer:  # type: ignore[arg-type]
            for frame in range(FRAMES):
                view, parts = take().viewpoint(frame), take().parts[frame]
                rgb = renderer.render(view, parts, take().shadows[frame]).buffers.rgb
                error = ((shown[frame].astype(float) - rgb) ** 2).mean()
                assert 10 * np.log10(255**2 / error) > psnr


def test_the_header_chooses_the_level_unless_told_otherwise(tmp_path: Path) -> None:
    quick = small_take(frames=2, level="blocks", size=(32, 18))
    record_take(quick, tmp_path / "header", pipe="egl")
    assert load_clip_folder(tmp_path / "header")[1].level == "blocks"
    record_take(quick, tmp_path / "told", pipe="egl", level="mid")
    assert load_clip_folder(tmp_path / "told")[1].level == "mid"


@pytest.mark.parametrize("missing", FILES)
def test_an_incomplete_clip_is_refused(
    clips: dict[Level, Path], tmp_path: Path, missing: str
) -> None:
    for name in FILES:
        if name != missing:
            (tmp_path / name).write_bytes((clips["mid"] / name).read_bytes())
    with pytest.raises(ValueError, match=f"record it again.*{missing}"):
        load_clip_folder(tmp_path)


@pytest.mark.parametrize("name", [GEOMETRY, CAMERA])
def test_a_truncated_clip_is_refused(clips: dict[Level, Path], tmp_path: Path, name: str) -> None:
    for other in FILES:
        whole = (clips["mid"] / other).read_bytes()
        (tmp_path / other).write_bytes(whole[: len(whole) // 2] if other == name else whole)
    with pytest.raises(ValueError, match="record it again"):
        load_clip_folder(tmp_path)


@pytest.mark.parametrize("stop", ["in a frame", "before geometry"])
def test_a_recording_broken_off_leaves_no_clip_even_over_an_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    quick = small_take(frames=3, size=(32, 18))
    record_take(quick, tmp_path, pipe="egl")
    load_clip_folder(tmp_path)

    def broken(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(recording, "_store" if stop == "in a frame" else "save_clip_folder", broken)
        with pytest.raises(KeyboardInterrupt):
            record_take(quick, tmp_path, pipe="egl")
    with pytest.raises(ValueError, match="record it again"):
        load_clip_folder(tmp_path)
    record_take(quick, tmp_path, pipe="egl")
    assert len(load_clip_folder(tmp_path)[1].frames) == 3


def test_clearing_a_folder_leaves_other_files_alone(tmp_path: Path) -> None:
    (tmp_path / "fine.mp4").write_bytes(b"another clip")
    (tmp_path / CAMERA).write_bytes(b"{}")
    clear_clip_folder(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["fine.mp4"]


def test_tracks_of_another_plan_are_refused(tmp_path: Path) -> None:
    quick = small_take(frames=2, size=(32, 18))
    other = Take(quick.header, quick.parts[:, :-1], quick.shadows, quick.eye, quick.axes)
    with pytest.raises(ValueError, match=r"parts is \(2, 70, 4, 4\), not \(2, 71, 4, 4\)"):
        record_take(other, tmp_path / "out", pipe="egl")
    assert not (tmp_path / "out").exists()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "street.game.record_take", *arguments]
    root = str(Path(__file__).parents[3])
    return subprocess.run(
        command, env=os.environ | {"PYTHONPATH": root} | environment, capture_output=True, text=True
    )


def test_the_command_records_a_saved_take(tmp_path: Path) -> None:
    save_take(small_take(frames=2, size=(48, 32)), tmp_path / "take")
    done = run(str(tmp_path / "take"), "--out", str(tmp_path / "clip"), "--level", "humanoids")
    assert done.returncode == 0, done.stderr
    geometry, log = load_clip_folder(tmp_path / "clip")
    assert log.level == "humanoids"
    assert geometry.depth.shape == (2, 32, 48)
    lacking = run(str(tmp_path / "none"), "--out", str(tmp_path / "clip"))
    assert lacking.returncode == 2
    assert "no whole take" in lacking.stderr
    assert len(lacking.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("pipe", "vendors"), [("software", None), ("auto", "/nowhere"), ("egl", "/nowhere")]
)
def test_without_gl_the_command_says_what_to_install(
    tmp_path: Path, pipe: str, vendors: str | None
) -> None:
    save_take(small_take(frames=1, size=(32, 18)), tmp_path / "take")
    hidden = {} if vendors is None else {"__EGL_VENDOR_LIBRARY_FILENAMES": vendors}
    done = run(str(tmp_path / "take"), "--out", str(tmp_path / "clip"), "--pipe", pipe, **hidden)
    assert done.returncode == 2
    assert "apt-get install libegl1 libgl1-mesa-dri" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "clip").exists()
