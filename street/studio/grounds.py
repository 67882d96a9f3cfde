"""Roads, pavements, trees and lamp posts as surfaces: what never moves in the street."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from street.city.ground import earth, markings, pavements
from street.city.mesh import Mesh
from street.city.plan import KERB, Plan, Tree
from street.city.props import BARK, BULB, SOIL, lamp_mesh, tree_mesh
from street.city.shapes import quads as quads_of
from street.studio.surface import Floats, MaterialKind, Surface, gathered, of_mesh, surface, welded

LAYER = 0.006
"""Metres between layers that lie in one plane in the city."""
SUNK = 0.05
"""Metres by which kerb stones reach into the ground: no face lies in the asphalt's plane."""


def ground_surfaces(plan: Plan) -> Iterator[Surface]:
    """Meadow, asphalt, markings and pavements."""
    land = earth(plan)
    half = len(land.faces) // 2
    yield of_mesh(land, np.repeat([MaterialKind.GRASS, MaterialKind.ASPHALT], half), shade=0.66)
    yield of_mesh(markings(plan).moved(0, 0, LAYER), MaterialKind.MARKING, shade=0.86)
    paved = pavements(plan, foot=-SUNK)
    flat = len(plan.blocks) * 4
    paved.vertices[-flat:, 2] += LAYER
    yield of_mesh(paved, MaterialKind.PAVING, shade=0.72)


def lamp_surfaces(plan: Plan) -> Iterator[Surface]:
    """Lamp posts."""
    mesh = lamp_mesh()
    kind = np.where(
        _has_colour(mesh, BULB)[mesh.faces[:, 0]], MaterialKind.BULB, MaterialKind.METAL
    )
    post = of_mesh(mesh, kind)
    for lamp in plan.lamps:
        yield post.moved(*lamp.position, KERB, lamp.heading)


def tree_surfaces(plan: Plan, eyes: NDArray[np.floating]) -> Iterator[Surface]:
    """Trees; those near one of the camera's places `eyes` [F, 3] have more leaves."""
    for tree in plan.trees:
        away = np.linalg.norm(eyes[:, :2] - np.array(tree.position), axis=1).min()
        leaves = 900 if away < 18 else 420 if away < 45 else 160
        yield _tree(tree, leaves).moved(*tree.position, KERB)


def _has_colour(mesh: Mesh, colour: tuple[float, float, float]) -> np.ndarray:
    return np.abs(mesh.colours - np.array(colour, np.float32)).max(axis=1) < 1e-4


def _tree(tree: Tree, leaves: int) -> Surface:
    """Trunk, a dark core just inside each of the crown's balls, and leaves around it."""
    mesh = tree_mesh(tree)
    wood, soil = _has_colour(mesh, BARK), _has_colour(mesh, SOIL)
    balls = np.flatnonzero(~(wood | soil)[mesh.faces[:, 0]])
    rng = np.random.default_rng([tree.seed, 5])
    parts = [_some(mesh, np.flatnonzero(soil[mesh.faces[:, 0]]), MaterialKind.PAVING, 0.55)]
    parts.append(_some(mesh, np.flatnonzero(wood[mesh.faces[:, 0]]), MaterialKind.BARK, 0.75))
    for share, faces in zip((0.68, 0.32), np.split(balls, 2), strict=True):
        points, crown = welded(mesh.vertices, mesh.faces[faces])
        parts += _crown(points, crown, np.array(tree.leaf), round(leaves * share), rng)
    return gathered(parts)


def _some(mesh: Mesh, faces: np.ndarray, kind: MaterialKind, shade: float) -> Surface:
    used, back = np.unique(mesh.faces[faces], return_inverse=True)
    kept = back.reshape(-1, 3)
    return surface(mesh.vertices[used], kept, mesh.colours[used] * shade, kind)


def _leafy(leaf: np.ndarray) -> np.ndarray:
    """A crown's colour, duller and nearer to olive than paint."""
    return leaf * 0.80 + np.array([0.17, 0.10, 0.05])


def _crown(
    points: Floats, faces: np.ndarray, leaf: np.ndarray, count: int, rng: np.random.Generator
) -> list[Surface]:
    used = np.unique(faces)
    middle = points[used].mean(axis=0)
    radius = float(np.linalg.norm(points[used] - middle, axis=1).mean())
    core = middle + (points - middle) * 0.93
    inner = surface(core, faces, _leafy(leaf) * 0.6, MaterialKind.LEAF, smooth=True)
    return [inner, _leaves(points, faces, middle, radius, leaf, count, rng)]


def _leaves(
    points: Floats,
    faces: np.ndarray,
    middle: Floats,
    radius: float,
    leaf: np.ndarray,
    count: int,
    rng: np.random.Generator,
) -> Surface:
    """Tufts as quads around points of the crown's faces, none further out than 5 cm."""
    weight = rng.dirichlet(np.ones(3), count)[:, :, None]
    on = (points[faces[rng.integers(len(faces), size=count)]] * weight).sum(axis=1)
    out = (on - middle) / np.linalg.norm(on - middle, axis=1, keepdims=True)
    size = radius * 2.3 / np.sqrt(count) * rng.uniform(0.7, 1.3, count)
    place = on + out * rng.uniform(-0.16, -0.01, (count, 1))
    side = np.cross(out, rng.standard_normal((count, 3)))
    side += out * rng.uniform(-0.5, 0.5, (count, 1))
    side /= np.linalg.norm(side, axis=1, keepdims=True)
    tilt = np.cross(out, side) + out * rng.uniform(-1.1, 1.1, (count, 1))
    tilt /= np.linalg.norm(tilt, axis=1, keepdims=True)
    a, b = side * size[:, None], tilt * size[:, None] * 0.8
    quads = np.stack([place - a - b, place + a - b, place + a + b, place - a + b], axis=1)
    reach = np.linalg.norm(quads - middle, axis=2)
    limit = np.linalg.norm(on - middle, axis=1)[:, None] + 0.05
    quads = middle + (quads - middle) * np.minimum(1, limit / reach)[..., None]
    clump = 1 + 0.42 * np.sin(on @ rng.normal(0, 3.2, (3, 2))).mean(axis=1)
    shade = clump * rng.uniform(0.60, 1.22, count) * (0.85 + 0.2 * out[:, 2])
    hue = np.stack([rng.normal(1.0, 0.10, count), np.ones(count), rng.normal(0.85, 0.08, count)])
    paint = (_leafy(leaf) * shade[:, None] * hue.T).clip(0, 1)
    corners = quads_of(count)
    return surface(quads.reshape(-1, 3), corners, np.repeat(paint, 4, axis=0), MaterialKind.LEAF)
