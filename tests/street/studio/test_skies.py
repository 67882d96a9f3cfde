"""Photographs of skies: their sun comes to the scene's, and no skyline is left."""

import base64
import io
import tarfile

import numpy as np
import pytest

from street.city.take import Atmosphere
from street.studio.climate import climate_of, sun_direction
from street.studio.fetch_skies import NAMES, unpack
from street.studio.sky import HEIGHT, WIDTH, panorama
from street.studio.sky_photos import SkyPhoto, photographed, trimmed

ROWS, COLUMNS = 180, 360


def photograph(column, elevation):
    """A grey sky with a bright spot, over a black skyline of 20 degrees."""
    pixels = np.full((ROWS, COLUMNS, 3), 0.4, np.float32)
    pixels[: ROWS // 2 + 20] = 0.0
    rise, turn = np.meshgrid(np.arange(ROWS) - 89.5, np.arange(COLUMNS) + 0.5, indexing="ij")
    away = np.hypot(rise - elevation, turn - 360 * column)
    return pixels + np.exp(-((away / 6) ** 2))[..., None].astype(np.float32)


@pytest.mark.parametrize("seed", [876, 2654, 5624, 9899])
@pytest.mark.parametrize("last", [None, 0.1])
def test_the_photographs_sun_stands_where_the_scenes_does(seed, last):
    climate = climate_of(Atmosphere("sunset", "clear"))
    photo = SkyPhoto("some", False, 20.0, 0.6, last, sun=35.0)
    sky = panorama(climate, seed, photo, photograph(0.6, 35.0)).sum(axis=-1)
    row, column = np.unravel_index(sky.argmax(), sky.shape)
    rise = ((row + 0.5) / HEIGHT - 0.5) * np.pi
    turn = -((column + 0.5) / WIDTH - 0.5) * 2 * np.pi
    brightest = [np.cos(rise) * np.cos(turn), np.cos(rise) * np.sin(turn), np.sin(rise)]
    assert np.dot(brightest, sun_direction(climate, seed)) > np.cos(np.radians(4))


def test_the_skyline_is_gone_and_the_circle_closes():
    photo = SkyPhoto("some", False, 20.0, 0.5, 0.9)
    sky = trimmed(photo, photograph(0.6, 35.0))
    turn = np.linspace(0, 2 * np.pi, 721)
    low = photographed(photo, sky, np.full(721, 0.01), turn, 0.5)
    assert low.min() > 0.5 * np.median(sky)
    assert np.allclose(low[0], low[-1], atol=1e-3)
    assert np.abs(np.diff(low, axis=0)).max() < 0.1


def test_the_packages_skies_are_unpacked(tmp_path):
    archive, kept = tmp_path / "assets.tgz", np.random.default_rng(7).bytes(60)
    with tarfile.open(archive, "w:gz") as package:
        for name in NAMES:
            text = b"export default 'data:application/exr;base64," + base64.b64encode(kept) + b"';"
            entry = tarfile.TarInfo(f"package/hdri/{name}.exr.js")
            entry.size = len(text)
            package.addfile(entry, io.BytesIO(text))
    unpack(archive, tmp_path / "skies")
    files = sorted((tmp_path / "skies").iterdir())
    assert [file.name for file in files] == sorted(f"{name}.exr" for name in NAMES)
    assert all(file.read_bytes() == kept for file in files)


def test_another_package_is_an_error(tmp_path):
    archive = tmp_path / "other.tgz"
    with tarfile.open(archive, "w:gz") as package:
        package.addfile(tarfile.TarInfo("package/other"))
    with pytest.raises(ValueError, match="holds no sky"):
        unpack(archive, tmp_path / "skies")
