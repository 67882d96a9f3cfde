"""The canonical camera and motion vectors, against points that are projected one by one."""

from __future__ import annotations

import numpy as np
import pytest

from street.city.motion_vectors import motion_field
from street.city.viewpoint import Viewpoint, look_at

SIZE = (64, 48)


def view(eye: tuple[float, ...], target: tuple[float, ...]) -> Viewpoint:
    return look_at(np.array(eye), np.array(target), fov_y=0.9, aspect=SIZE[0] / SIZE[1])


NOW = view((1.0, -8.0, 2.5), (0.3, 4.0, 1.0))
BEFORE = view((0.6, -8.4, 2.4), (0.0, 4.0, 1.2))


def points(count: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.uniform((-3, -2, 0), (3, 20, 3), (count, 3))


def test_axes_are_orthonormal_and_the_picture_is_upright() -> None:
    assert pytest.approx(np.eye(3), abs=1e-12) == NOW.axes @ NOW.axes.T
    assert NOW.up[2] > 0
    assert np.cross(NOW.right, NOW.forward) == pytest.approx(NOW.up)
    assert (NOW.pixels(NOW.position + NOW.forward, *SIZE)[0]) == pytest.approx([32, 24])
    right, _ = NOW.pixels(NOW.position + NOW.forward + 0.1 * NOW.right, *SIZE)
    up, _ = NOW.pixels(NOW.position + NOW.forward + 0.1 * NOW.up, *SIZE)
    assert right[0] > 32
    assert up[1] < 24


def test_clip_depth_runs_from_0_at_near_to_1_at_far() -> None:
    for distance, depth in ((NOW.near, 0.0), (NOW.far, 1.0)):
        clip = np.array([0.0, 0.0, distance, 1.0]) @ NOW.view_to_clip
        assert clip[2] / clip[3] == pytest.approx(depth, abs=1e-9)


def test_the_edge_of_the_picture_is_the_edge_of_clip_space() -> None:
    top = NOW.position + NOW.forward + np.tan(NOW.fov_y / 2) * NOW.up
    clip = np.append(top, 1) @ NOW.world_to_clip
    assert clip[1] / clip[3] == pytest.approx(1.0)
    assert NOW.pixels(top, *SIZE)[0][1] == pytest.approx(0.0)


def test_clip_to_prev_clip_takes_still_points_to_the_last_frame() -> None:
    here = np.column_stack([points(50), np.ones(50)])
    moved = here @ NOW.world_to_clip @ NOW.clip_to_prev_clip(BEFORE)
    then = here @ BEFORE.world_to_clip
    assert moved / moved[:, 3:] == pytest.approx(then / then[:, 3:], abs=1e-6)


def seen(world: np.ndarray, part: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A frame of far background with one point in one pixel, whose middle it is moved to."""
    pixel, depth = NOW.pixels(world, *SIZE)
    column, row = np.floor(pixel).astype(int)
    wide, tall = NOW.slopes
    ndc = np.array([(column + 0.5) * 2 / SIZE[0] - 1, 1 - (row + 0.5) * 2 / SIZE[1]])
    exact = NOW.position + depth * np.array([*(ndc * (wide, tall)), 1.0]) @ NOW.axes
    depths = np.full((SIZE[1], SIZE[0]), 100.0, np.float32)
    parts = np.zeros((SIZE[1], SIZE[0]), np.int32)
    depths[row, column], parts[row, column] = depth, part
    return depths, parts, exact, np.array([row, column])


@pytest.mark.parametrize("world", points(6))
def test_motion_of_a_still_point_is_its_shift_between_the_views(world: np.ndarray) -> None:
    depth, part, exact, (row, column) = seen(world, 0)
    nothing = np.zeros((0, 4, 4))
    motion = motion_field(depth, part, (NOW, BEFORE), (nothing, nothing))
    wanted = BEFORE.pixels(exact, *SIZE)[0] - NOW.pixels(exact, *SIZE)[0]
    assert motion[row, column] == pytest.approx(wanted, abs=1e-3)
    assert np.abs(wanted).max() > 0.5


def test_motion_of_a_part_includes_its_own() -> None:
    depth, part, exact, (row, column) = seen(np.array([0.5, 5.0, 1.0]), 2)
    now, before = np.tile(np.eye(4), (2, 2, 1, 1))
    now[1, 3, :3], before[1, 3, :3] = (0.5, 5.0, 0.0), (0.1, 5.3, 0.05)
    motion = motion_field(depth, part, (NOW, BEFORE), (now, before))
    then = exact + before[1, 3, :3] - now[1, 3, :3]
    wanted = BEFORE.pixels(then, *SIZE)[0] - NOW.pixels(exact, *SIZE)[0]
    still = motion_field(depth, 0 * part, (NOW, BEFORE), (now, before))
    assert motion[row, column] == pytest.approx(wanted, abs=1e-3)
    assert np.abs(motion - still)[row, column].max() > 1.0


def test_the_sky_turns_but_does_not_shift() -> None:
    depth = np.full((SIZE[1], SIZE[0]), np.inf, np.float32)
    part = np.zeros((SIZE[1], SIZE[0]), np.int32)
    nothing = np.zeros((0, 4, 4))
    aside = view((5.0, -8.0, 2.5), (4.3, 4.0, 1.0))
    assert np.abs(motion_field(depth, part, (NOW, aside), (nothing, nothing))).max() < 1e-3
    turned = motion_field(depth, part, (NOW, BEFORE), (nothing, nothing))
    far = NOW.position + 1e7 * NOW.forward
    wanted = BEFORE.pixels(far, *SIZE)[0] - NOW.pixels(far, *SIZE)[0]
    middle = turned[23:25, 31:33].mean(axis=(0, 1))
    assert middle == pytest.approx(wanted, abs=0.02)


def test_what_was_behind_the_last_camera_has_no_motion() -> None:
    depth = np.full((SIZE[1], SIZE[0]), 3.0, np.float32)
    part = np.zeros((SIZE[1], SIZE[0]), np.int32)
    nothing = np.zeros((0, 4, 4))
    ahead = view((0.0, 20.0, 2.5), (0.0, 40.0, 1.0))
    assert np.isnan(motion_field(depth, part, (NOW, ahead), (nothing, nothing))).all()
