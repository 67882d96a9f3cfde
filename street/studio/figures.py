"""People as surfaces: the city's own bodies, rounded by smooth normals, in cloth, skin and hair."""

from __future__ import annotations

import numpy as np

from street.city.figure import SHOE, figure_meshes
from street.city.mesh import Mesh
from street.city.plan import Plan, Walker
from street.studio.surface import Stuff, Surface, gathered, surface, welded


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
    """One part, each colour its own smooth piece, so that sleeves end sharply."""
    stuffs = (
        (walker.shirt, Stuff.CLOTH, 0.80), (walker.trousers, Stuff.CLOTH, 0.72),
        (walker.skin, Stuff.SKIN, 0.80), (walker.hair, Stuff.HAIR, 0.70),
        (SHOE, Stuff.HAIR, 0.9),
    )  # fmt: skip
    shift = rng.uniform(0, 1, 2)
    pieces = []
    first = mesh.colours[mesh.faces[:, 0]]
    done = np.zeros(len(mesh.faces), bool)
    for colour, stuff, shade in stuffs:
        mine = ~done & (np.abs(first - np.array(colour, np.float32)).max(axis=1) < 1e-4)
        done |= mine
        if mine.any():
            points, faces = welded(mesh.vertices, mesh.faces[mine])
            flat = colour == SHOE
            paint = _worn(np.array(colour) * shade, 0.3 if stuff is Stuff.CLOTH else 0.0)
            piece = surface(points, faces, paint, stuff, smooth=not flat)
            piece.uv[:] += shift
            pieces.append(piece)
    assert done.all(), "a figure has a colour that its walker has not"
    return gathered(pieces)
