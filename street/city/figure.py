"""Meshes of people: seven rigid parts, each around the joint that it turns on, facing +X.

Made for a person of `TALL` metres; `poses` scales and places them.
"""

from __future__ import annotations

from street.city.mesh import Mesh, join
from street.city.plan import Colour, Walker
from street.city.shapes import ball, box, capsule, lathe

TALL = 1.75
THIGH = 0.45
SHIN = 0.45
SHOULDER = 0.52
"""Height of the shoulder above the hip."""
HIP_SIDE = 0.1
SHOULDER_SIDE = 0.245
PARTS = ("trunk", "left thigh", "right thigh", "left shin", "right shin", "left arm", "right arm")

SHOE: Colour = (0.20, 0.18, 0.18)


def figure_meshes(walker: Walker) -> tuple[Mesh, ...]:
    """One mesh for each of `PARTS`, in that order."""
    thigh = capsule(0.085, -THIGH - 0.06, 0.08, walker.trousers)
    shin = join(
        [
            capsule(0.07, -SHIN + 0.03, 0.05, walker.trousers),
            box((-0.09, -0.05, -SHIN), (0.17, 0.05, -SHIN + 0.09), SHOE),
        ]
    )
    arm = join(
        [
            capsule(0.06, -0.36, 0.06, walker.shirt),
            capsule(0.048, -0.6, -0.3, walker.skin),
        ]
    )
    return (_trunk(walker), thigh, thigh, shin, shin, arm, arm)


def _trunk(walker: Walker) -> Mesh:
    """Pelvis, shirt, neck, head and hair; the hip is the origin."""
    chest = lathe([(0.15, 0.0), (0.165, 0.2), (0.2, 0.44), (0.15, 0.58)], walker.shirt, sides=8)
    pelvis = lathe([(0.13, -0.1), (0.16, -0.02), (0.152, 0.06)], walker.trousers, sides=8)
    return join(
        [
            _widened(chest),
            _widened(pelvis),
            capsule(0.055, 0.5, 0.72, walker.skin),
            ball(0.125, (0.01, 0.0, 0.755), walker.skin),
            ball(0.13, (-0.03, 0.0, 0.79), walker.hair),
        ]
    )


def _widened(mesh: Mesh) -> Mesh:
    """Flatter front to back than side to side, as bodies are."""
    vertices, normals = mesh.vertices.copy(), mesh.normals.copy()
    vertices[:, 0] *= 0.66
    vertices[:, 1] *= 1.1
    normals[:, 0] *= 1.1
    normals[:, 1] *= 0.66
    normals /= (normals**2).sum(axis=1, keepdims=True) ** 0.5
    return Mesh(vertices, normals, mesh.colours, mesh.faces)
