"""One frame by Cycles, as linear light: render settings, and what comes back.

The settings give the best image for a second of one CPU core: few samples, two bounces, the
denoiser guided by albedo and normals, and everything that does not move kept between frames.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from street.city.take import TakeHeader
from street.studio.image_files import read_exr
from street.studio.postprocess import MIST_REACH, LinearFrame


def prepare(header: TakeHeader, samples: int, threads: int, *, lamps: bool) -> None:
    """Sets the open scene up to render frames of the header's size on `threads` CPU threads;
    `lamps` says whether there are more lights than the sun.
    """
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.render.resolution_x, scene.render.resolution_y = header.width, header.height
    scene.render.resolution_percentage = 100
    scene.render.use_persistent_data = True
    scene.render.threads_mode = "FIXED"
    scene.render.threads = threads
    scene.render.use_compositing = scene.render.use_sequencer = False
    _sampling(scene.cycles, samples)
    scene.cycles.use_light_tree = lamps
    scene.view_layers[0].use_pass_mist = True
    settings = scene.render.image_settings
    settings.media_type = "MULTI_LAYER_IMAGE"
    settings.file_format = "OPEN_EXR_MULTILAYER"
    settings.exr_codec, settings.color_depth = "NONE", "32"
    settings.use_exr_interleave = True


def _sampling(cycles: bpy.types.PropertyGroup, samples: int) -> None:
    cycles.device = "CPU"
    cycles.samples = samples
    cycles.seed = 0  # the same noise in every frame: less flicker after the denoiser
    cycles.use_adaptive_sampling = False
    cycles.use_auto_tile = False
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.max_bounces = cycles.glossy_bounces = 2
    cycles.diffuse_bounces = cycles.transmission_bounces = 1
    cycles.transparent_max_bounces = 2
    cycles.volume_bounces = 0
    cycles.sample_clamp_indirect, cycles.sample_clamp_direct = 4.0, 40.0
    cycles.blur_glossy = 0.5
    cycles.pixel_filter_type, cycles.filter_width = "BLACKMAN_HARRIS", 1.4
    cycles.use_denoising = True
    cycles.denoiser = "OPENIMAGEDENOISE"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.denoising_prefilter = "NONE"
    cycles.denoising_quality = "FAST"
    cycles.use_fast_gi = True
    cycles.fast_gi_method = "REPLACE"
    cycles.ao_bounces = cycles.ao_bounces_render = 1


@contextmanager
def small_renders() -> Iterator[None]:
    """A quarter of the width and height, for measuring light: 1/16 of the time."""
    render = bpy.context.scene.render
    full = render.resolution_percentage
    render.resolution_percentage = 25
    try:
        yield
    finally:
        render.resolution_percentage = full


def render() -> LinearFrame:
    """The open scene in its current state."""
    with tempfile.TemporaryDirectory(prefix="fine-") as folder:
        path = Path(folder) / "frame.exr"
        bpy.context.scene.render.filepath = os.fspath(path)
        bpy.ops.render.render(write_still=True)
        channels = read_exr(path)
    light = np.stack([_channel(channels, f"Combined.{c}") for c in "RGB"], axis=-1)
    mist = next(plane for name, plane in channels.items() if ".Mist." in name)
    return LinearFrame(light, mist * MIST_REACH)


def _channel(channels: dict[str, NDArray[np.float32]], ending: str) -> NDArray[np.float32]:
    return next(plane for name, plane in channels.items() if name.endswith(ending))
