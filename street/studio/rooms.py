"""Rooms behind panes without any geometry: the view ray is cut with a box behind the glass.

J. van Dongen, "Interior Mapping", 2008. The pane's `uv` are metres from its lower left corner; its
`tint` holds the tile, width and height, as `panes.pane_tint` packs them; its glow is the
room's lamp.
"""

from __future__ import annotations

from dataclasses import dataclass

from street.studio.nodes import Graph, Socket, Value
from street.studio.panes import TALLEST, WIDEST


@dataclass(frozen=True)
class Room:
    """`depth` metres to the back wall, `near` to what stands behind the glass; its atlas's grid."""

    depth: float
    near: float
    grid: tuple[int, int]


@dataclass(frozen=True)
class Seen:
    """What a view ray meets: albedo and how much of a lamp's light reaches it."""

    colour: Socket
    light: Socket


def seen(graph: Graph, room: Room, back: Value, near: Value) -> Seen:
    """The room as seen through the pane; `back` and `near` are its atlas's images."""
    view = _View(graph)
    at_back = view.hit(room.depth)
    wall = _tile(graph, view, room, at_back.u, at_back.v, back).outputs[0]
    sides = graph.mixed(at_back.side, wall, (0.34, 0.31, 0.27))
    floor = graph.mixed(at_back.down, sides, (0.16, 0.12, 0.09))
    whole = graph.mixed(at_back.up, floor, (0.55, 0.53, 0.50))
    u, v = view.plane(room.near)
    things = _tile(graph, view, room, u, v, near)
    inside = graph.math("MULTIPLY", _within(graph, u), _within(graph, v))
    cover = graph.math("MULTIPLY", things.outputs[1], inside)
    colour = graph.mixed(cover, whole, things.outputs[0])
    # Lamps at the ceiling, in rows; the light falls off towards the floor.
    row = graph.math("LESS_THAN", graph.math("PINGPONG", at_back.depth, 0.6), 0.12)
    across = graph.math("LESS_THAN", graph.math("PINGPONG", graph.math(
        "MULTIPLY", at_back.u, view.wide), 0.5), 0.3)  # fmt: skip
    lamp = graph.math("MULTIPLY", graph.math("MULTIPLY", row, across), at_back.up)
    lamp = graph.math("MULTIPLY", lamp, graph.math("SUBTRACT", 1.0, cover))
    high = graph.math("MULTIPLY_ADD", at_back.v, 0.7, 0.4)
    light = graph.math("MULTIPLY_ADD", lamp, 5.0, high)
    return Seen(colour, light)


@dataclass(frozen=True)
class _Hit:
    u: Socket
    v: Socket
    depth: Socket
    side: Socket
    up: Socket
    down: Socket


class _View:
    """The view ray in the pane's own axes: along the wall, up, and into the room."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        geometry = graph.node("ShaderNodeNewGeometry")
        normal, incoming = geometry.outputs["Normal"], geometry.outputs["Incoming"]
        along = graph.vector("CROSS_PRODUCT", (0.0, 0.0, 1.0), normal)
        self._x = graph.math("MULTIPLY", self._dot(incoming, along), -1.0)
        up = graph.node("ShaderNodeSeparateXYZ", incoming).outputs[2]
        self._z = graph.math("MULTIPLY", up, -1.0)
        self._in = graph.math("MAXIMUM", self._dot(incoming, normal), 0.02)
        uv = graph.node("ShaderNodeAttribute", attribute_name="uv").outputs["Vector"]
        part = graph.node("ShaderNodeSeparateXYZ", uv)
        self._left, self._low = part.outputs[0], part.outputs[1]
        tint = graph.node("ShaderNodeAttribute", attribute_name="tint")
        packed = graph.node("ShaderNodeSeparateXYZ", tint.outputs["Vector"])
        self.tile = graph.math("FLOOR", graph.math("MULTIPLY", packed.outputs[0], 256.0))
        self.wide = graph.math("MULTIPLY", packed.outputs[1], WIDEST)
        self.tall = graph.math("MULTIPLY", packed.outputs[2], TALLEST)

    def plane(self, depth: Value) -> tuple[Socket, Socket]:
        """Where the ray meets a plane `depth` metres in, as shares of the pane."""
        reach = self._graph.math("DIVIDE", depth, self._in)
        return (
            self._share(self._left, self._x, reach, self.wide),
            self._share(self._low, self._z, reach, self.tall),
        )

    def hit(self, depth: float) -> _Hit:
        """Where the ray meets the box: back, sides, ceiling or floor."""
        graph = self._graph
        back = graph.math("DIVIDE", depth, self._in)
        side = self._reach(self._left, self._x, self.wide)
        level = self._reach(self._low, self._z, self.tall)
        reach = graph.math("MINIMUM", graph.math("MINIMUM", back, side), level)
        on_side = graph.math("LESS_THAN", side, graph.math("MINIMUM", back, level))
        on_level = graph.math("LESS_THAN", level, graph.math("MINIMUM", back, side))
        rising = graph.math("GREATER_THAN", self._z, 0.0)
        return _Hit(
            self._share(self._left, self._x, reach, self.wide),
            self._share(self._low, self._z, reach, self.tall),
            graph.math("MULTIPLY", reach, self._in),
            on_side,
            graph.math("MULTIPLY", on_level, rising),
            graph.math("MULTIPLY", on_level, graph.math("SUBTRACT", 1.0, rising)),
        )

    def _share(self, start: Socket, pace: Socket, reach: Socket, size: Socket) -> Socket:
        graph = self._graph
        return graph.math("DIVIDE", graph.math("MULTIPLY_ADD", pace, reach, start), size)

    def _reach(self, start: Socket, pace: Socket, size: Socket) -> Socket:
        """Along the ray to the wall that it runs towards."""
        graph = self._graph
        ahead = graph.math("GREATER_THAN", pace, 0.0)
        target = graph.math("MULTIPLY", ahead, size)
        way = graph.math("ABSOLUTE", graph.math("SUBTRACT", target, start))
        speed = graph.math("MAXIMUM", graph.math("ABSOLUTE", pace), 1e-4)
        return graph.math("DIVIDE", way, speed)

    def _dot(self, a: Socket, b: Socket) -> Socket:
        node = self._graph.node("ShaderNodeVectorMath", a, b, operation="DOT_PRODUCT")
        return node.outputs["Value"]


def _within(graph: Graph, share: Socket) -> Socket:
    """1 where a share of the pane is in [0, 1]."""
    return graph.math("LESS_THAN", graph.math("ABSOLUTE", graph.math("SUBTRACT", share, 0.5)), 0.5)


def _tile(graph: Graph, view: _View, room: Room, u: Socket, v: Socket, image: Value) -> Value:
    """The image node of the pane's tile at shares `u` and `v`."""
    columns, rows = room.grid
    row = graph.math("FLOOR", graph.math("DIVIDE", view.tile, columns))
    column = graph.math("SUBTRACT", view.tile, graph.math("MULTIPLY", row, columns))
    at = []
    for share, start, count in ((u, column, columns), (v, row, rows)):
        kept = graph.math("MINIMUM", graph.math("MAXIMUM", share, 0.01), 0.99)
        at.append(graph.math("DIVIDE", graph.math("ADD", kept, start), count))
    where = graph.node("ShaderNodeCombineXYZ", *at).outputs[0]
    return graph.image(image, where)
