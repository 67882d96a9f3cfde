"""Finds and reads photographs of skies in Blender's interpreter."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy
import numpy as np

from street.city.take import Atmosphere
from street.studio.sky_photos import SkyPhoto, suited
from street.studio.textures import Floats

EXTRA = Path(sys.prefix) / "skies"
"""Where `fetch_skies` puts photographs, as `NAME.exr`. Without it, bpy's own are used alone."""


def chosen(atmosphere: Atmosphere, seed: int) -> SkyPhoto:
    """The photograph of a scene: the seed chooses among the suited ones that are there."""
    there = [photo for photo in suited(atmosphere) if path_of(photo).exists()]
    assert there, "bpy brings a photograph for every hour and weather"
    return there[int(np.random.default_rng([seed, 23]).integers(len(there)))]


def path_of(photo: SkyPhoto) -> Path:
    """Where the photograph lies, whether or not it is there."""
    if photo.extra:
        return EXTRA / f"{photo.name}.exr"
    folder = Path(bpy.utils.resource_path("LOCAL")) / "datafiles" / "studiolights" / "world"
    return folder / f"{photo.name}.exr"


def read(photo: SkyPhoto) -> Floats:
    """Linear radiance [H, W, 3], row 0 straight down."""
    image = bpy.data.images.load(str(path_of(photo)))
    image.colorspace_settings.name = "Non-Color"
    width, height = image.size
    flat = np.empty(width * height * 4, np.float32)
    image.pixels.foreach_get(flat)
    bpy.data.images.remove(image)
    return flat.reshape(height, width, 4)[..., :3].copy()
