"""Haze, rain, snow and tone mapping, and the image files of a render; none of it needs Blender."""

import numpy as np
import pytest
from PIL import Image

from street.city.take import Atmosphere
from street.city.viewpoint import look_at
from street.studio.climate import climate_of
from street.studio.image_files import write_png
from street.studio.postprocess import (
    LinearFrame,
    _cover,
    falling,
    hazed,
    metered_exposure,
    tone_mapped,
)

LIGHT = np.full((36, 64, 3), 0.2, np.float32)
FAR = np.full((36, 64), 300.0, np.float32)
NEAR = np.full((36, 64), 1.0, np.float32)


def view(x):
    eye = np.array([x, 0.0, 1.7])
    return look_at(eye, eye + np.array([1.0, 0, 0]), fov_y=0.9, aspect=16 / 9)


def fallen(weather, distance, time):
    return falling(LIGHT, distance, climate_of(Atmosphere("noon", weather)), view(0), 3, time)


@pytest.mark.parametrize("weather", ["clear", "overcast", "fog"])
def test_nothing_falls_in_dry_weather(weather):
    assert np.array_equal(fallen(weather, FAR, 0.5), LIGHT)


@pytest.mark.parametrize("weather", ["rain", "snow"])
def test_rain_and_snow_repeat_move_and_are_hidden_by_near_things(weather):
    shown = fallen(weather, FAR, 0.5)
    assert np.array_equal(shown, fallen(weather, FAR, 0.5))
    assert 0.005 < (shown != LIGHT).any(axis=-1).mean() < 0.9
    assert not np.array_equal(shown, fallen(weather, FAR, 0.6))
    assert (fallen(weather, NEAR, 0.5) != LIGHT).sum() < 0.1 * (shown != LIGHT).sum()


def test_fog_hides_far_things_only():
    fog = climate_of(Atmosphere("noon", "fog"))
    assert np.abs(hazed(LinearFrame(LIGHT, NEAR), fog) - LIGHT).max() < 0.1
    assert np.ptp(hazed(LinearFrame(LIGHT, FAR), fog), axis=(0, 1)).max() < 1e-5


@pytest.mark.parametrize("x", [0.0, 0.4])
def test_a_flake_keeps_its_place_in_the_world_while_the_camera_moves(x):
    flakes = np.array([[[6.0, 0.5, 2.0]], [[5.0, -1.0, 1.2]]])
    cover = _cover(FAR, view(x), flakes, 1.0)
    pixel, _ = view(x).pixels(flakes[:, 0], 64, 36)
    for column, row in np.floor(pixel - 0.5).astype(int):
        assert cover[row : row + 2, column : column + 2].sum() > 0.2
    assert (cover > 0).sum() <= 8


@pytest.mark.parametrize("brightness", [0.21, 0.47])
def test_metering_reaches_the_brightness_that_was_asked_for(brightness):
    lights = np.random.default_rng(4).gamma(0.6, 0.4, (2, 36, 64, 3)).astype(np.float32)
    exposure = metered_exposure(list(lights), brightness, start=1.0)
    shown = np.mean([tone_mapped(light, exposure).mean() for light in lights]) / 255
    assert shown == pytest.approx(brightness, abs=0.005)


def test_metering_leaves_a_dark_wall_dark():
    wall = np.full((36, 64, 3), 0.001, np.float32)
    assert metered_exposure([wall], 0.21, start=2.0) == pytest.approx(8.0, rel=0.02)


def test_tone_mapping_keeps_order_and_never_clips_to_colour():
    ramp = np.repeat(np.geomspace(0.001, 30, 64)[None, :, None], 3, axis=2).astype(np.float32)
    shown = tone_mapped(np.repeat(ramp, 36, axis=0), 1.0).astype(int)
    assert (np.diff(shown[4, :, 0]) >= 0).all()
    assert (np.ptp(shown, axis=2) <= 1).all()
    assert shown.max() > 250


def test_png_reads_back(tmp_path):
    rgb = np.random.default_rng(1).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    write_png(tmp_path / "a.png", rgb)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), rgb)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
