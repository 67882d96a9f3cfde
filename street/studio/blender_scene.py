"""The scene of a take in Blender: built once, then set to one frame after the other."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from street.city.figure import PARTS
from street.city.poses import CAR_PARTS
from street.city.take import Take
from street.studio.blender import aim, mesh_of, new_camera, place, stand
from street.studio.buildings import building_surfaces, skyline_surfaces
from street.studio.cars import moving_cars, parked_cars
from street.studio.climate import Climate, climate_of
from street.studio.cycles import prepare, shoot
from street.studio.figures import figure_surfaces
from street.studio.geometry import Survey
from street.studio.grounds import ground_surfaces, lamp_surfaces, tree_surfaces
from street.studio.light import add_headlights, add_sky, add_street_lamps
from street.studio.materials import all_materials
from street.studio.surface import Surface, gathered
from street.studio.tone_mapping import developed
from street.studio.weather import falling, hazed


class BlenderScene:
    """Everything of one take, in Blender's one scene: a new stage clears the last one."""

    def __init__(self, take: Take, *, samples: int, threads: int) -> None:
        slate = take.slate
        bpy.ops.wm.read_factory_settings(use_empty=True)
        self.take = take
        self.climate: Climate = climate_of(slate.atmosphere)
        prepare(slate, samples, threads, lamps=self.climate.lamps)
        materials = all_materials(self.climate, slate.seed)
        self._still = mesh_of("still", _still(take, self.climate), materials)
        stand("still", self._still)
        moving = [*figure_surfaces(slate.plan), *moving_cars(slate.plan)]
        self._parts = [stand("part", mesh_of("part", part, materials)) for part in moving]
        self._camera = new_camera(slate.fov_y, slate.near, slate.far)
        bodies = self._parts[len(PARTS) * len(slate.plan.walkers) :: CAR_PARTS]
        add_sky(self.climate, slate.seed)
        add_street_lamps(slate.plan, self.climate, take.eye)
        add_headlights(slate.plan, self.climate, bodies)
        self._survey: Survey | None = None

    def film(self, frame: int) -> NDArray[np.uint8]:
        """The finished picture [H, W, 3] of a frame."""
        view = self.take.viewpoint(frame)
        for thing, matrix in zip(self._parts, self.take.parts[frame], strict=True):
            place(thing, matrix)
        aim(self._camera, view)
        picture = shoot()
        light = hazed(picture, self.climate)
        seed, time = self.take.slate.seed, frame / self.take.slate.fps
        light = falling(light, picture.distance, self.climate, view, seed, time)
        return developed(light, self.climate.exposure)

    def survey(self, frame: int) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        """Depth and part numbers [H, W] of a frame, as `Survey.look` says."""
        if self._survey is None:
            self._survey = Survey(self._still, [part.data for part in self._parts])
        slate = self.take.slate
        view, parts = self.take.viewpoint(frame), self.take.parts[frame]
        return self._survey.look(view, parts, (slate.width, slate.height))


def _still(take: Take, climate: Climate) -> Surface:
    """All that never moves."""
    plan = take.slate.plan
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
