"""Depth and part numbers against projections that know neither Blender nor its meshes."""

import numpy as np
import pytest

from street.city.mesh import join
from street.city.plan import STREET
from street.city.props import car_body


@pytest.fixture
def geometry(rendered):
    with np.load(rendered[0] / "0001.npz") as file:
        return file["depth"], file["part"]


def world_points(view, depth):
    """Where each pixel's middle lies [H, W, 3]."""
    height, width = depth.shape
    wide, tall = view.slopes
    x = ((np.arange(width) + 0.5) * 2 / width - 1) * wide
    y = (1 - (np.arange(height) + 0.5) * 2 / height) * tall
    rays = np.stack([*np.meshgrid(x, y), np.ones(depth.shape)], axis=-1)
    return view.position + (rays * np.where(np.isfinite(depth), depth, 0)[..., None]) @ view.axes


def test_sky_is_infinite_and_the_rest_beyond_the_near_plane(geometry, take):
    depth, part = geometry
    assert depth.dtype == np.float32
    assert part.dtype == np.int32
    assert np.isinf(depth).any()
    assert (depth[np.isfinite(depth)] > take.header.near).all()
    assert (part[np.isinf(depth)] == 0).all()


def test_the_road_lies_where_it_should(geometry, take):
    depth, part = geometry
    points = world_points(take.viewpoint(1), depth)
    plan = take.header.plan
    x, y, z = np.moveaxis(points, -1, 0)
    outer, inner = plan.blocks[4].inset(0.4 - STREET), plan.blocks[4].inset(-0.4)
    on_road = (part == 0) & np.isfinite(depth) & (z < 0.1)
    on_road &= (x > outer.x0) & (x < outer.x1) & (y > outer.y0) & (y < outer.y1)
    on_road &= (x < inner.x0) | (x > inner.x1) | (y < inner.y0) | (y > inner.y1)
    assert on_road.sum() > 40
    assert (z[on_road] > -0.001).all()
    # Markings lie 6 mm over the asphalt; a few pixels may show the foot of a parked car's wheel.
    assert (z[on_road] < 0.0065).mean() > 0.97


def test_building_corners_project_to_depth_edges(geometry, take):
    depth, _ = geometry
    view, plan = take.viewpoint(1), take.header.plan
    checked = 0
    for building in plan.buildings:
        r = building.footprint
        for x, y in ((r.x0, r.y0), (r.x1, r.y0), (r.x0, r.y1), (r.x1, r.y1)):
            pixel, far = view.pixels(np.array([x, y, 5.0]), depth.shape[1], depth.shape[0])
            column, row = np.floor(pixel).astype(int)
            if not (0 < far < 60 and 1 <= column < depth.shape[1] - 1 and 1 <= row < 35):
                continue
            near = depth[row - 1 : row + 2, column - 1 : column + 2]
            if near.min() < far - 1.0:
                continue
            # Windows and trims stand up to 0.6 m out of the wall.
            assert np.abs(near - far).min() < 0.7
            checked += 1
    assert checked >= 3


def test_parts_lie_inside_what_moved(geometry, take):
    depth, part = geometry
    points = world_points(take.viewpoint(1), depth)
    people = 7 * len(take.header.plan.walkers)
    found = 0
    for index, car in enumerate(take.header.plan.cars):
        number = people + 5 * index
        body = join([car_body(car.look)]).vertices
        mine = part == number + 1
        local = np.c_[points[mine], np.ones(mine.sum())] @ np.linalg.inv(take.parts[1][number])
        assert (local[:, :3] > body.min(axis=0) - 0.05).all()
        assert (local[:, :3] < body.max(axis=0) + 0.05).all()
        found += int(mine.sum())
    assert found > 8
    assert part.max() <= take.parts.shape[1]


def test_a_cars_roof_is_seen_at_its_own_depth(geometry, take):
    depth, part = geometry
    view = take.viewpoint(1)
    people = 7 * len(take.header.plan.walkers)
    seen = 0
    for index, car in enumerate(take.header.plan.cars):
        number = people + 5 * index
        top = car_body(car.look).vertices[:, 2].max()
        roof = np.array([-0.3, 0.0, top, 1.0]) @ take.parts[1][number]
        pixel, far = view.pixels(roof[:3], depth.shape[1], depth.shape[0])
        column, row = np.floor(pixel).astype(int)
        inside = 0 <= column < depth.shape[1] and 0 <= row < depth.shape[0]
        if far > 0 and inside and part[row, column] == number + 1:
            assert depth[row, column] == pytest.approx(far, abs=0.06 * far)
            seen += 1
    assert seen >= 1
