"""Every hour in every weather builds its materials; textures, sky and panes are in range."""

import json
from typing import get_args

import numpy as np
import pytest

from street.city.take import Atmosphere, Hour, Weather
from street.studio.climate import climate_of
from street.studio.panes import shop_atlas, window_atlas
from street.studio.sky import panorama
from street.studio.sky_photos import suited
from street.studio.textures import asphalt, bricks, concrete, noise, plaster, slabs, stains

PAIRS = [(hour, weather) for hour in get_args(Hour) for weather in get_args(Weather)]

BUILD = """
import json, sys
from dataclasses import replace
from pathlib import Path
import bpy
from street.city.take import Atmosphere, load_take
from street.studio.climate import climate_of
from street.studio.light import add_sky, add_street_lamps
from street.studio.materials import all_materials
from street.studio.surface import MaterialKind

take = load_take(Path(sys.argv[1]))
for hour, weather in json.loads(sys.argv[2]):
    bpy.ops.wm.read_factory_settings(use_empty=True)
    climate = climate_of(Atmosphere(hour, weather))
    materials = all_materials(climate, 5)
    add_sky(climate, Atmosphere(hour, weather), 5)
    add_street_lamps(take.header.plan, climate, take.eye)
    ends = [next(n for n in m.node_tree.nodes if n.type == "OUTPUT_MATERIAL") for m in materials]
    assert len(ends) == len(MaterialKind) and all(end.inputs[0].is_linked for end in ends)
    print("built", hour, weather, len(bpy.data.lights))
"""


def test_every_pair_builds_materials_sky_and_lamps(studio, take_folder):
    output = studio.run("-c", BUILD, take_folder, json.dumps(PAIRS))
    built = [line.split()[1:] for line in output.splitlines() if line.startswith("built")]
    lamps = {(hour, weather): int(count) for hour, weather, count in built}
    assert set(lamps) == set(PAIRS)
    assert lamps["night", "clear"] > lamps["noon", "clear"] == 1
    assert lamps["noon", "overcast"] == 0


@pytest.mark.parametrize(("hour", "weather"), PAIRS)
def test_the_sky_is_finite_and_as_bright_as_its_hour_whatever_the_photograph(hour, weather):
    atmosphere = Atmosphere(hour, weather)
    climate = climate_of(atmosphere)
    for photo in suited(atmosphere):
        sky = panorama(climate, 3, photo, photograph())
        assert np.isfinite(sky).all()
        assert (sky >= 0).all()
        upper = sky[len(sky) // 2 :] * climate.exposure
        assert (0.005 < upper.mean() < 0.2) if hour == "night" else (0.2 < upper.mean() < 2.0)


def photograph():
    """Grey sky over black houses, with a dead pixel and a sun."""
    pixels = np.random.default_rng().uniform(0.3, 0.5, (128, 256, 3)).astype(np.float32)
    pixels[64:66] = 0
    pixels[100, 30] = np.nan
    pixels[74:80, 150:156] = 30000.0
    return pixels


@pytest.mark.parametrize("draw", [asphalt, bricks, concrete, plaster, slabs, stains])
def test_textures_multiply_by_about_one_and_tile(draw):
    pixels = draw(4)
    assert pixels.shape == (512, 512, 3)
    assert 0.75 < pixels.mean() < 1.15
    assert pixels.min() >= 0
    assert np.array_equal(pixels, draw(4))
    assert not np.array_equal(pixels, draw(5))


def test_noise_has_no_seam():
    field = noise(7, 1.5)
    across = np.abs(field[:, 0] - field[:, -1]).mean()
    inside = np.abs(np.diff(field, axis=1)).mean()
    assert across < 1.5 * inside


@pytest.mark.parametrize("atlas", [window_atlas, shop_atlas])
def test_rooms_are_albedos_with_things_behind_some_of_the_glass(atlas):
    back, near = atlas(2)
    assert back.shape[:2] == near.shape[:2]
    assert min(back.min(), near.min()) >= 0
    assert max(back.max(), near.max()) <= 1
    assert set(np.unique(near[..., 3])) <= {0.0, 0.75, 1.0}
    assert 0.1 < (near[..., 3] > 0).mean() < 0.8
    assert not np.array_equal(back, atlas(3)[0])
