"""People as surfaces: the city's own bodies, rounded by smooth normals, in cloth, skin and hair."""

from __future__ import annotations

import numpy as np

from street.city.figure import SHOE, figure_meshes
from street.city.mesh import Mesh
from street.city.plan import Plan, Walker
from street.studio.surface import MaterialKind, Surface, gathered, surface, welded


def figure_surfaces(plan: Plan) -> list[Surface]:
    """The parts of all walkers, in the order of `World.parts`."""
    return [
        _part(mesh, walker, np.random.default_rng([plan.seed, 31, index]))
        for index, walker in enumerate(plan.walkers)
        for mesh in figure_meshes(walker)
    ]


def _worn(colour: np.ndarray, fade: float) -> np.ndarray:
    """A colour washed towards grey by the share `fade`."""
    return colour + fade * (colour.mean() - colour)


def _part(mesh: Mesh, walker: Walker, rng: np.random.Generator) -> Surface:
    """One part. Each colour is smooth on its own, so that sleeves end sharply."""
    kinds = (
        (walker.shirt, MaterialKind.CLOTH, 0.80), (walker.trousers, MaterialKind.CLOTH, 0.72),
        (walker.skin, MaterialKind.SKIN, 0.80), (walker.hair, MaterialKind.HAIR, 0.70),
        (SHOE, MaterialKind.HAIR, 0.9),
    )  # fmt: skip
    shift = rng.uniform(0, 1, 2)
    surfaces = []
    first = mesh.colours[mesh.faces[:, 0]]
    done = np.zeros(len(mesh.faces), bool)
    for colour, kind, shade in kinds:
        mine = ~done & (np.abs(first - np.array(colour, np.float32)).max(axis=1) < 1e-4)
        done |= mine
        if mine.any():
            points, faces = welded(mesh.vertices, mesh.faces[mine])
            flat = colour == SHOE
            paint = _worn(np.array(colour) * shade, 0.3 if kind is MaterialKind.CLOTH else 0.0)
            part = surface(points, faces, paint, kind, smooth=not flat)
            part.uv[:] += shift
            surfaces.append(part)
    assert done.all(), "a figure has a colour that its walker has not"
    return gathered(surfaces)
