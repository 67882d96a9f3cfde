"""The pavement graph: corners joined by pavements and zebra crossings."""

from __future__ import annotations

from street.city.plan import (
    KERB_STRIP,
    PAVEMENT,
    WALL_STRIP,
    Crossing,
    Point,
    Rect,
    Walkway,
)

WALK_LINE = (KERB_STRIP + PAVEMENT - WALL_STRIP) / 2
"""Middle of the walked band, metres from the kerb."""
CROSSING_WIDTH = 3.0

Corner = tuple[int, int, int]
"""Block, east (1) or west (0) end, north (1) or south (0) end."""


def crossings_and_graph(
    blocks: tuple[Rect, ...],
) -> tuple[tuple[Crossing, ...], tuple[Point, ...], tuple[Walkway, ...]]:
    """Zebra crossings, corner nodes and walkways around the four junctions of nine blocks."""
    corners = _junction_corners()
    nodes = tuple(_node(blocks, corner) for corner in corners)
    crossings: list[Crossing] = []
    walkways: list[Walkway] = []
    for a, first in enumerate(corners):
        for b in range(a + 1, len(corners)):
            axis = _joined(first, corners[b])
            if axis is None:
                continue
            if first[0] == corners[b][0]:
                walkways.append(Walkway(a, b, -1))
            elif _across_one_street(first, corners[b], axis):
                walkways.append(Walkway(a, b, len(crossings)))
                crossings.append(_crossing(blocks, nodes, (a, b), corners, axis))
    return tuple(crossings), nodes, tuple(walkways)


def _junction_corners() -> list[Corner]:
    """The corners, four a junction, at which streets meet."""
    return [
        (block, east, north)
        for block in range(9)
        for east in (0, 1)
        for north in (0, 1)
        if 0 <= block % 3 - 1 + east < 2 and 0 <= block // 3 - 1 + north < 2
    ]


def _node(blocks: tuple[Rect, ...], corner: Corner) -> Point:
    block, east, north = corner
    walked = blocks[block].inset(WALK_LINE)
    return (walked.x1 if east else walked.x0), (walked.y1 if north else walked.y0)


def _joined(a: Corner, b: Corner) -> int | None:
    """0 or 1 when the corners lie on one line along X or Y, in one block or in neighbours."""
    (i, j), (k, m) = (a[0] % 3, a[0] // 3), (b[0] % 3, b[0] // 3)
    if j == m and a[2] == b[2] and abs(i - k) <= 1:
        return 0
    if i == k and a[1] == b[1] and abs(j - m) <= 1:
        return 1
    return None


def _across_one_street(a: Corner, b: Corner, axis: int) -> bool:
    """True when a's far end and b's near end face each other (block a comes first)."""
    return a[1 + axis] == 1 and b[1 + axis] == 0


def _crossing(
    blocks: tuple[Rect, ...],
    nodes: tuple[Point, ...],
    ends: tuple[int, int],
    corners: list[Corner],
    axis: int,
) -> Crossing:
    first, second = (blocks[corners[end][0]] for end in ends)
    x, y = nodes[ends[0]]
    half = CROSSING_WIDTH / 2
    if axis == 0:
        return Crossing(Rect(first.x1, y - half, second.x0, y + half), 0)
    return Crossing(Rect(x - half, first.y1, x + half, second.y0), 1)
