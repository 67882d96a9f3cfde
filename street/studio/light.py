"""Sun, sky, street lamps and headlights as Blender's lights."""

from __future__ import annotations

import bpy
import numpy as np
from mathutils import Vector
from numpy.typing import NDArray

from street.city.plan import KERB, Plan
from street.city.props import CAR_SIZES
from street.city.take import Atmosphere
from street.studio.climate import Climate, sun_direction
from street.studio.cycles import MIST_REACH
from street.studio.nodes import Graph, new_image
from street.studio.sky import panorama
from street.studio.sky_files import chosen, read

LAMP_REACH = 55.0
"""Metres from the camera's path within which street lamps give light."""
LAMP_WATTS = 2200.0
HEADLIGHT_WATTS = 500.0


def add_sky(climate: Climate, atmosphere: Atmosphere, seed: int) -> None:
    """The world's light, and the sun."""
    photo = chosen(atmosphere, seed)
    world = bpy.data.worlds.new("sky")
    bpy.context.scene.world = world
    world.use_nodes = True
    graph = Graph(world.node_tree)
    image = new_image("sky", panorama(climate, seed, photo, read(photo)))
    light = graph.node("ShaderNodeTexEnvironment", image=image).outputs[0]
    graph.finish(graph.node("ShaderNodeBackground", light).outputs[0], "ShaderNodeOutputWorld")
    world.cycles.sampling_method = "MANUAL"
    world.cycles.sample_map_resolution = 64
    world.mist_settings.start, world.mist_settings.depth = 0.0, MIST_REACH
    world.mist_settings.falloff = "LINEAR"
    if max(climate.sun) > 0:
        _add_sun(climate, seed)


def _add_sun(climate: Climate, seed: int) -> None:
    strength = max(climate.sun)
    lamp = bpy.data.lights.new("sun", "SUN")
    lamp.energy, lamp.angle = strength, climate.sun_angle
    lamp.color = [part / strength for part in climate.sun]
    _aimed(lamp, (0.0, 0.0, 50.0), -sun_direction(climate, seed))


def add_street_lamps(plan: Plan, climate: Climate, eyes: NDArray[np.float64]) -> None:
    """A light under each lamp post near one of the camera's places `eyes` [F, 3]."""
    if not climate.lamps:
        return
    for post in plan.lamps:
        away = np.linalg.norm(eyes[:, :2] - np.array(post.position), axis=1).min()
        if away > LAMP_REACH:
            continue
        lamp = bpy.data.lights.new("lamp", "SPOT")
        lamp.energy, lamp.color = LAMP_WATTS * climate.glow, (1.0, 0.70, 0.38)
        lamp.spot_size, lamp.spot_blend, lamp.shadow_soft_size = 2.7, 0.6, 0.15
        c, s = np.cos(post.heading), np.sin(post.heading)
        x, y = post.position
        _aimed(lamp, (x + 1.1 * c, y + 1.1 * s, KERB + 5.1), np.array([0.0, 0.0, -1.0]))


def add_headlights(plan: Plan, climate: Climate, bodies: list[bpy.types.Object]) -> None:
    """A beam on each driving car's body."""
    if not climate.lamps:
        return
    for car, body in zip(plan.cars, bodies, strict=True):
        lamp = bpy.data.lights.new("headlight", "SPOT")
        lamp.energy, lamp.color = HEADLIGHT_WATTS * climate.glow, (1.0, 0.93, 0.8)
        lamp.spot_size, lamp.spot_blend, lamp.shadow_soft_size = 1.0, 0.7, 0.1
        nose = CAR_SIZES[car.look.kind][0] / 2 + 0.1
        beam = _aimed(lamp, (nose, 0.0, 0.65), np.array([1.0, 0.0, -0.12]))
        beam.parent = body


def _aimed(
    lamp: bpy.types.Light, place: tuple[float, float, float], way: NDArray[np.float64]
) -> bpy.types.Object:
    thing = bpy.data.objects.new(lamp.name, lamp)
    thing.location = place
    thing.rotation_mode = "QUATERNION"
    thing.rotation_quaternion = Vector(way.tolist()).to_track_quat("-Z", "Y")
    bpy.context.scene.collection.objects.link(thing)
    return thing
