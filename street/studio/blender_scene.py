"""The scene of a take in Blender: built once, then moved from frame to frame."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from street.city.figure import PARTS
from street.city.poses import CAR_PARTS
from street.city.take import Take
from street.studio.blender import add_object, aim, mesh_of, new_camera, place
from street.studio.buildings import building_surfaces, skyline_surfaces
from street.studio.cars import moving_cars, parked_cars
from street.studio.climate import Climate, climate_of
from street.studio.cycles import prepare, render, small_renders
from street.studio.figures import figure_surfaces
from street.studio.geometry import RayCaster
from street.studio.grounds import ground_surfaces, lamp_surfaces, tree_surfaces
from street.studio.light import add_headlights, add_sky, add_street_lamps
from street.studio.materials import all_materials
from street.studio.postprocess import falling, hazed, metered_exposure, tone_mapped
from street.studio.surface import Surface, gathered


class BlenderScene:
    """Everything of one take. Blender has one open scene: making another object clears it."""

    def __init__(self, take: Take, *, samples: int, threads: int) -> None:
        header = take.header
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.take = take
        self.climate: Climate = climate_of(header.atmosphere)
        prepare(header, samples, threads, lamps=self.climate.lamps)
        materials = all_materials(self.climate, header.seed)
        self._still = mesh_of("still", _still(take, self.climate), materials)
        add_object("still", self._still)
        moving = [*figure_surfaces(header.plan), *moving_cars(header.plan)]
        self._parts = [add_object("part", mesh_of("part", part, materials)) for part in moving]
        self._camera = new_camera(header.fov_y, header.near, header.far)
        bodies = self._parts[len(PARTS) * len(header.plan.walkers) :: CAR_PARTS]
        add_sky(self.climate, header.atmosphere, header.seed)
        add_street_lamps(header.plan, self.climate, take.eye)
        add_headlights(header.plan, self.climate, bodies)
        self._rays: RayCaster | None = None
        self._exposure: float | None = None

    def render(self, frame: int) -> NDArray[np.uint8]:
        """The finished frame [H, W, 3]."""
        return tone_mapped(self._light(frame), self.exposure)

    @property
    def exposure(self) -> float:
        """Metered on small renders of the first, middle and last frame, so that every run that
        continues the clip finds the same value.
        """
        if self._exposure is None:
            frames = sorted({0, len(self.take) // 2, len(self.take) - 1})
            with small_renders():
                lights = [self._light(frame) for frame in frames]
            climate = self.climate
            self._exposure = metered_exposure(lights, climate.brightness, climate.exposure)
        return self._exposure

    def _light(self, frame: int) -> NDArray[np.float32]:
        """Scene-referred light [H, W, 3] of a frame, weather included."""
        view = self.take.viewpoint(frame)
        for thing, matrix in zip(self._parts, self.take.parts[frame], strict=True):
            place(thing, matrix)
        aim(self._camera, view)
        rendered = render()
        light = hazed(rendered, self.climate)
        seed, time = self.take.header.seed, frame / self.take.header.fps
        return falling(light, rendered.distance, self.climate, view, seed, time)

    def geometry(self, frame: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Depth and part numbers [H, W] of a frame, as `RayCaster.cast` says."""
        if self._rays is None:
            self._rays = RayCaster(self._still, [part.data for part in self._parts])
        header = self.take.header
        view, parts = self.take.viewpoint(frame), self.take.parts[frame]
        return self._rays.cast(view, parts, (header.width, header.height))


def _still(take: Take, climate: Climate) -> Surface:
    """All that never moves."""
    plan = take.header.plan
    return gathered(
        [
            *ground_surfaces(plan),
            *skyline_surfaces(plan),
            *building_surfaces(plan, climate.lit),
            *tree_surfaces(plan, take.eye),
            *lamp_surfaces(plan),
            *parked_cars(plan),
        ]
    )
