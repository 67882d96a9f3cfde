"""Parts of facades stay on their walls, and panes know their sizes."""

import numpy as np
import pytest

from street.city.layout import plan_city
from street.studio import fronts
from street.studio.buildings import building_surfaces
from street.studio.fronts import Spot, inset
from street.studio.panes import TALLEST, WIDEST
from street.studio.signs import SIGNS, lettering, sign_atlas
from street.studio.surface import MaterialKind


@pytest.fixture
def spot():
    """A window on a wall that looks along a random way."""
    rng = np.random.default_rng(5)
    turn, width, height = rng.uniform(0, 6.3), rng.uniform(1, 3), rng.uniform(1, 3)
    low, along = rng.uniform(-9, 9, 3), np.array([np.cos(turn), np.sin(turn), 0.0]) * width
    up = np.array([0.0, 0.0, height])
    return Spot(np.stack([low, low + along, low + along + up, low + up]))


def outwards(spot):
    along = (spot.corners[1] - spot.corners[0]) / spot.size[0]
    return np.array([along[1], -along[0], 0.0])


@pytest.mark.parametrize("draw", [fronts.shutters, fronts.railing])
def test_parts_stand_out_by_centimetres(spot, draw):
    boxes = spot.boxes(draw(spot))
    out = (boxes - spot.corners[0]) @ outwards(spot)
    assert -0.1 < out.min() < out.max() < 0.15


def test_faces_of_a_box_look_out_of_it(spot):
    boxes = spot.boxes([(0.2, 0.7, 0.1, 0.9, -0.05, 0.1)])
    normals = np.cross(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 0])
    middle = boxes.reshape(-1, 3).mean(axis=0)
    assert (((boxes.mean(axis=1) - middle) * normals).sum(axis=1) > 0).all()
    assert normals[0] @ outwards(spot) > 0


def test_glass_moves_into_the_wall(spot):
    moved = inset(spot.corners[None], 0.05)[0]
    assert np.allclose((moved - spot.corners) @ outwards(spot), -0.05, atol=1e-5)


def test_a_citys_panes_carry_their_metres():
    for building in building_surfaces(plan_city(3, people=2, cars=2), 0.5):
        chosen = np.isin(building.material, [MaterialKind.WINDOW, MaterialKind.SHOP])
        assert chosen.any()
        panes = np.unique(building.faces[chosen])
        size = building.tint[panes, 1:3] * (WIDEST, TALLEST)
        assert (building.uv[panes] <= size + 1e-3).all()
        assert np.isclose(building.uv[panes], size, atol=1e-3).any(axis=0).all()


def test_signs_have_letters():
    atlas = sign_atlas(1)
    assert atlas.shape == (40 * SIGNS[1], 256 * SIGNS[0], 4)
    assert 0.01 < (atlas[..., 3] > 0).mean() < 0.3
    assert lettering("HI").shape == (7, 12)
    assert lettering("L")[0].sum() == 5
