"""Haze, rain and snow between the camera and the scene."""

SCRIPT = """
import numpy as np
from street.city.take import Atmosphere
from street.city.viewpoint import look_at
from street.studio.climate import climate_of
from street.studio.cycles import Picture
from street.studio.postprocess import _drawn, _flakes, falling, hazed

def view(x):
    eye = np.array([x, 0.0, 1.7])
    return look_at(eye, eye + np.array([1.0, 0, 0]), fov_y=0.9, aspect=16 / 9)

light = np.full((36, 64, 3), 0.2, np.float32)
far = np.full((36, 64), 300.0, np.float32)
near = np.full((36, 64), 1.0, np.float32)
for weather in ("clear", "overcast", "fog"):
    climate = climate_of(Atmosphere("noon", weather))
    assert np.array_equal(falling(light, far, climate, view(0), 3, 0.5), light)
for weather in ("rain", "snow"):
    climate = climate_of(Atmosphere("noon", weather))
    shown = falling(light, far, climate, view(0), 3, 0.5)
    assert np.array_equal(shown, falling(light, far, climate, view(0), 3, 0.5))
    assert 0.005 < (shown != light).any(axis=-1).mean() < 0.9, weather
    assert not np.array_equal(shown, falling(light, far, climate, view(0), 3, 0.6))
    hidden = falling(light, near, climate, view(0), 3, 0.5)
    assert (hidden != light).sum() < 0.1 * (shown != light).sum()
fog = climate_of(Atmosphere("noon", "fog"))
close = hazed(Picture(light, near), fog)
gone = hazed(Picture(light, far), fog)
assert np.abs(close - light).max() < 0.1 and np.ptp(gone, axis=(0, 1)).max() < 1e-5
# A flake keeps its place in the world while the camera moves: it shows where its projection says.
flakes = np.array([[[6.0, 0.5, 2.0]], [[5.0, -1.0, 1.2]]])
for x in (0.0, 0.4):
    cover = _drawn(far, view(x), flakes, 1.0)
    pixel, _ = view(x).pixels(flakes[:, 0], 64, 36)
    for column, row in np.floor(pixel - 0.5).astype(int):
        assert cover[row : row + 2, column : column + 2].sum() > 0.2, (x, column, row)
    assert (cover > 0).sum() <= 8
print("fine")
"""


def test_the_air_hides_far_things_and_falls_the_same_for_every_camera(studio):
    assert studio.run("-c", SCRIPT).strip().endswith("fine")
