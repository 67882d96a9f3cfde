"""Rendering and reading back: what is drawn where, on every renderer that this machine has."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("panda3d", reason="the sample game needs the panda3d package")
from panda3d.core import CullBinManager, NodePath

from street.city.layout import plan_city
from street.city.plan import KERB
from street.city.shapes import ball, box
from street.city.viewpoint import Viewpoint, look_at
from street.game.capture import Capture, FrameBuffers
from street.game.display import Display, open_display
from street.game.scene import Scene, geom_node

WIDTH, HEIGHT = 160, 96
RED = (1.0, 0.0, 0.0)


@pytest.fixture(params=["egl", "software"])
def display(request: pytest.FixtureRequest) -> Iterator[Display]:
    try:
        opened = open_display(request.param, WIDTH, HEIGHT)
    except RuntimeError as reason:
        if request.param == "software":
            raise
        pytest.skip(str(reason))
    yield opened
    opened.close()


def view(eye: tuple[float, ...], target: tuple[float, ...]) -> Viewpoint:
    return look_at(np.array(eye), np.array(target), fov_y=0.9, aspect=WIDTH / HEIGHT)


def render(display: Display, root: NodePath, where: Viewpoint) -> FrameBuffers:
    root.set_shader_input("part", 0.0)
    return Capture(display, root).render(where)


@pytest.mark.parametrize("place", [(0.0, 5.0, 1.0), (2.5, 9.0, 3.0), (-3.0, 8.0, 0.2)])
def test_a_known_point_is_drawn_where_the_camera_projects_it(
    display: Display, place: tuple[float, float, float]
) -> None:
    root = NodePath("root")
    root.attach_new_node(geom_node(ball(0.25, place, RED), "ball"))
    where = view((0.5, -2.0, 2.0), (0.2, 6.0, 1.2))
    rgb = render(display, root, where).rgb
    assert rgb.shape == (HEIGHT, WIDTH, 3)
    weight = rgb[..., 0].astype(float)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    middle = (weight * columns).sum() / weight.sum(), (weight * rows).sum() / weight.sum()
    assert middle == pytest.approx(tuple(where.pixels(np.array(place), WIDTH, HEIGHT)[0]), abs=0.5)


def test_colours_come_back_in_order_and_undisturbed(display: Display) -> None:
    root = NodePath("root")
    root.attach_new_node(geom_node(box((-9, 3, -9), (9, 4, 9), (0.8, 0.4, 0.2)), "wall"))
    rgb = render(display, root, view((0.0, 0.0, 0.0), (0.0, 3.0, 0.0))).rgb
    assert np.unique(rgb.reshape(-1, 3), axis=0).tolist() == [[204, 102, 51]]


def test_renderers_agree_on_the_light() -> None:
    plan = plan_city(0, people=2, cars=1)
    frames = []
    for pipe in ("software", "egl"):
        try:
            opened = open_display(pipe, WIDTH, HEIGHT)
        except RuntimeError as reason:
            pytest.skip(str(reason))
        scene = Scene(plan, tiny=pipe == "software")
        x, y = plan.nodes[4]
        where = view((x, y, 2.0), (x + 30, y + 1, 2.0))
        frames.append(Capture(opened, scene.root).render(where).rgb.astype(float))
        opened.close()
    apart = np.abs(frames[0] - frames[1])
    assert np.median(apart) <= 1.0
    assert apart.mean() < 8.0, "only edges may differ"


def test_depth_of_the_ground_is_that_of_the_ray_to_its_plane(display: Display) -> None:
    if display.geometry is None:
        pytest.skip(f"{display.name} gives no depth")
    root = NodePath("root")
    root.attach_new_node(geom_node(box((-900, -900, -1.0), (900, 900, KERB), RED), "ground"))
    where = view((0.0, 0.0, 2.7), (1.0, 8.0, 1.5))
    depth = render(display, root, where).depth
    assert depth is not None
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    wide, tall = where.slopes
    ndc = np.stack([columns * 2 / WIDTH - 1, 1 - rows * 2 / HEIGHT], axis=-1) * (wide, tall)
    rays = np.concatenate([ndc, np.ones((HEIGHT, WIDTH, 1))], axis=-1) @ where.axes
    reach = (KERB - where.position[2]) / np.where(rays[..., 2] < 0, rays[..., 2], np.nan)
    ground = reach < 200
    assert ground.sum() > WIDTH * HEIGHT / 3
    assert depth[ground] == pytest.approx(reach[ground], rel=0.01)
    assert np.isinf(depth[rays[..., 2] > 0]).all()


def test_parts_are_numbered_and_hide_what_is_behind_them(display: Display) -> None:
    if display.geometry is None:
        pytest.skip(f"{display.name} gives no part numbers")
    root = NodePath("root")
    root.attach_new_node(geom_node(box((-9, 8, -9), (9, 9, 9), RED), "wall"))
    near = root.attach_new_node(geom_node(box((-0.5, 4, -0.5), (0.5, 4.5, 0.5), RED), "box"))
    near.set_shader_input("part", 37.0)
    buffers = render(display, root, view((0.0, 0.0, 0.0), (0.0, 3.0, 0.0)))
    assert buffers.part is not None
    assert buffers.depth is not None
    assert buffers.part[HEIGHT // 2, WIDTH // 2] == 37
    assert buffers.part[5, 5] == 0
    assert buffers.depth[HEIGHT // 2, WIDTH // 2] == pytest.approx(4.0, rel=1e-4)
    assert buffers.depth[5, 5] == pytest.approx(8.0, rel=1e-4)


def test_nothing_is_drawn_in_the_order_of_memory_addresses() -> None:
    """Panda3D's own bins for solid things sort by state pointers, which differ from run to run."""
    root = Scene(plan_city(0, people=1, cars=1)).root
    bins = {node.get_net_state().get_bin_index() for node in root.find_all_matches("**/+GeomNode")}
    manager = CullBinManager.get_global_ptr()
    assert {manager.get_bin_name(index) for index in bins} == {"unsorted", "background"}


def test_an_unknown_renderer_is_refused() -> None:
    with pytest.raises(ValueError, match="'auto', 'egl', 'software' or 'window'"):
        open_display("vulkan", 8, 8)
