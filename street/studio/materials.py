"""The shader of every material in Cycles: small graphs over textures made by numpy.

They are cheap on purpose: an image or two, a diffuse part, and gloss only where it shows.
"""

from __future__ import annotations

from collections.abc import Callable

import bpy

from street.studio import textures
from street.studio.climate import Climate
from street.studio.nodes import Graph, Socket, Value, new_image
from street.studio.panes import SHOPS, WINDOWS, shop_atlas, window_atlas
from street.studio.rooms import Room, seen
from street.studio.signs import sign_atlas
from street.studio.surface import MaterialKind

SNOW = (0.80, 0.83, 0.88)
ROOM_LIGHT = 1.5
LAMP_LIGHT = 14.0

Maker = Callable[[Graph], Socket]


def all_materials(climate: Climate, seed: int) -> list[bpy.types.Material]:
    """One material for each `MaterialKind`, in its order."""
    palette = _Palette(climate, seed)
    return [palette.material(kind) for kind in MaterialKind]


class _Palette:
    """Builds materials for one climate; images are shared between them."""

    def __init__(self, climate: Climate, seed: int) -> None:
        self._climate = climate
        self._stain = new_image("stains", textures.stains(seed % 7 + 3))
        self._puddle = new_image("puddles", textures.puddles(seed % 5 + 50))
        self._cloth = new_image("cloth", textures.cloth(9))
        self._makers: dict[MaterialKind, Maker] = {
            MaterialKind.BRICK: self._wall(textures.bricks(1), 2.4),
            MaterialKind.PLASTER: self._wall(textures.plaster(2), 5.0),
            MaterialKind.CONCRETE: self._wall(textures.concrete(3), 5.6),
            MaterialKind.TRIM: self._wall(textures.plaster(4), 3.0),
            MaterialKind.ROOF: self._wall(textures.plaster(5), 3.0),
            MaterialKind.DOOR: self._plain(0.25),
            MaterialKind.AWNING: self._awning,
            MaterialKind.TOWER: self._tower,
            MaterialKind.WINDOW: self._pane(Room(3.2, 0.18, WINDOWS), *window_atlas(31)),
            MaterialKind.SHOP: self._pane(Room(2.6, 0.6, SHOPS), *shop_atlas(47)),
            MaterialKind.ASPHALT: self._street(textures.asphalt(6), 14.0),
            MaterialKind.PAVING: self._street(textures.slabs(7), 4.8),
            MaterialKind.MARKING: self._street(textures.worn(8), 5.0),
            MaterialKind.GRASS: self._wall(textures.plaster(10), 4.0),
            MaterialKind.LEAF: self._leaf,
            MaterialKind.BARK: self._wall(textures.plaster(12), 0.6),
            MaterialKind.METAL: self._plain(0.35),
            MaterialKind.BULB: self._bulb,
            MaterialKind.PAINT: self._paint,
            MaterialKind.GLASS: self._glass,
            MaterialKind.RUBBER: self._plain(0.5),
            MaterialKind.CHROME: self._chrome,
            MaterialKind.CAR_LAMP: self._car_lamp,
            MaterialKind.CLOTH: self._worn_cloth,
            MaterialKind.SKIN: self._plain(0.45),
            MaterialKind.HAIR: self._plain(0.4),
            MaterialKind.FRAME: self._plain(0.2),
            MaterialKind.SIGN: self._sign(sign_atlas(13)),
        }

    def material(self, kind: MaterialKind) -> bpy.types.Material:
        material = bpy.data.materials.new(kind.name.lower())
        material.use_nodes = True
        # What glows is also a lamp or too faint to light the street: sampling it costs noise.
        material.cycles.emission_sampling = "NONE"
        graph = Graph(material.node_tree)
        graph.finish(self._makers[kind](graph))
        return material

    def _tint(self, graph: Graph) -> tuple[Socket, Socket]:
        """Colour and glow of the surface."""
        node = graph.node("ShaderNodeAttribute", attribute_name="tint")
        return node.outputs["Color"], node.outputs["Alpha"]

    def _uv(self, graph: Graph, size: float) -> Socket:
        """Texture coordinates that repeat every `size` metres."""
        uv = graph.node("ShaderNodeAttribute", attribute_name="uv").outputs["Vector"]
        return graph.scaled(uv, 1.0 / size)

    def _upward(self, graph: Graph) -> Socket:
        """1 on what faces up."""
        normal = graph.node("ShaderNodeNewGeometry").outputs["Normal"]
        height = graph.node("ShaderNodeSeparateXYZ", normal).outputs[2]
        return graph.math("MULTIPLY_ADD", height, 3.0, -1.2, clamp=True)

    def _snowed(self, graph: Graph, colour: Socket, share: Value = 1.0) -> Socket:
        """White on faces that face up, where there is snow."""
        if not self._climate.snow:
            return colour
        cover = graph.math("MULTIPLY", self._upward(graph), share)
        return graph.mixed(cover, colour, SNOW)

    def _matte(self, graph: Graph, colour: Socket) -> Socket:
        return graph.node("ShaderNodeBsdfDiffuse", colour).outputs[0]

    def _gloss(self, graph: Graph, roughness: Value, colour: Value = None) -> Socket:
        node = graph.node("ShaderNodeBsdfGlossy", colour, roughness, distribution="GGX")
        return node.outputs[0]

    def _fresnel(self, graph: Graph, low: float, high: float) -> Socket:
        """A reflectance from `low` seen straight to `high` at grazing angles."""
        facing = graph.node("ShaderNodeLayerWeight", 0.5).outputs["Facing"]
        steep = graph.math("POWER", facing, 4.0)
        return graph.math("MULTIPLY_ADD", steep, high - low, low)

    def _wall(self, pixels: textures.Floats, size: float) -> Maker:
        image = new_image("wall", pixels)

        def make(graph: Graph) -> Socket:
            tint, _ = self._tint(graph)
            fine = graph.image(image, self._uv(graph, size)).outputs[0]
            stain = graph.image(self._stain, self._uv(graph, 17.0)).outputs[0]
            colour = graph.vector("MULTIPLY", graph.vector("MULTIPLY", tint, fine), stain)
            if self._climate.wet:
                colour = graph.scaled(colour, 1 - 0.25 * self._climate.wet)
            return self._matte(graph, self._snowed(graph, colour))

        return make

    def _street(self, pixels: textures.Floats, size: float) -> Maker:
        image = new_image("street", pixels)

        def make(graph: Graph) -> Socket:
            tint, _ = self._tint(graph)
            fine = graph.image(image, self._uv(graph, size)).outputs[0]
            stain = graph.image(self._stain, self._uv(graph, 23.0)).outputs[0]
            colour = graph.vector("MULTIPLY", graph.vector("MULTIPLY", tint, fine), stain)
            if self._climate.snow:
                return self._snowy_street(graph, colour)
            if not self._climate.wet:
                return self._matte(graph, colour)
            return self._wet_street(graph, colour)

        return make

    def _wet_street(self, graph: Graph, colour: Socket) -> Socket:
        """Dark and shining; puddles mirror."""
        wet = self._climate.wet
        water = graph.image(self._puddle, self._uv(graph, 9.0)).outputs[0]
        dark = graph.scaled(colour, 1 - 0.5 * wet)
        rough = graph.math("MULTIPLY_ADD", water, -0.24, 0.30 + 0.25 * (1 - wet))
        rise = self._fresnel(graph, 0.03, 0.85)
        deep = graph.math("MULTIPLY_ADD", water, 0.55 * wet, 0.45 * wet)
        share = graph.math("MULTIPLY", rise, deep)
        return graph.blend(share, self._matte(graph, dark), self._gloss(graph, rough))

    def _snowy_street(self, graph: Graph, colour: Socket) -> Socket:
        """Snow with slush showing through where feet and wheels go."""
        slush = graph.image(self._puddle, self._uv(graph, 5.0)).outputs[0]
        share = graph.math("MULTIPLY_ADD", slush, -0.38, 0.93)
        return self._matte(graph, self._snowed(graph, graph.scaled(colour, 0.7), share))

    def _plain(self, gloss: float) -> Maker:
        def make(graph: Graph) -> Socket:
            tint, _ = self._tint(graph)
            body = self._matte(graph, self._snowed(graph, tint, 0.8))
            shine = self._gloss(graph, 0.45)
            return graph.blend(self._fresnel(graph, 0.02, gloss), body, shine)

        return make

    def _pane(self, room: Room, back: textures.Floats, near: textures.Floats) -> Maker:
        """Glass in front of a room: lit rooms glow, glass mirrors."""
        walls, things = new_image("rooms", back), new_image("things", near)

        def make(graph: Graph) -> Socket:
            _, glow = self._tint(graph)
            view = seen(graph, room, walls, things)
            body = self._matte(graph, graph.scaled(view.colour, 0.22))
            strength = graph.math("MULTIPLY", glow, ROOM_LIGHT * max(self._climate.glow, 0.3))
            strength = graph.math("MULTIPLY", strength, view.light)
            light = graph.vector("MULTIPLY", view.colour, (1.0, 0.74, 0.46))
            lamp = graph.node("ShaderNodeEmission", light, strength).outputs[0]
            body = graph.node("ShaderNodeAddShader", body, lamp).outputs[0]
            mirror = self._gloss(graph, 0.015, (0.9, 0.95, 1.0, 1.0))
            return graph.blend(self._fresnel(graph, 0.13, 0.9), body, mirror)

        return make

    def _sign(self, pixels: textures.Floats) -> Maker:
        """A painted board; lit letters glow from dusk to dawn."""
        image = new_image("signs", pixels)

        def make(graph: Graph) -> Socket:
            _, glow = self._tint(graph)
            uv = graph.node("ShaderNodeAttribute", attribute_name="uv").outputs["Vector"]
            board = graph.image(image, uv)
            body = self._matte(graph, self._snowed(graph, board.outputs[0], 0.5))
            if not self._climate.lamps:
                return body
            strength = graph.math("MULTIPLY", glow, board.outputs[1])
            strength = graph.math("MULTIPLY", strength, 2.5 * max(self._climate.glow, 0.3))
            lamp = graph.node("ShaderNodeEmission", board.outputs[0], strength).outputs[0]
            return graph.node("ShaderNodeAddShader", body, lamp).outputs[0]

        return make

    def _awning(self, graph: Graph) -> Socket:
        """Striped cloth."""
        tint, _ = self._tint(graph)
        uv = graph.node("ShaderNodeAttribute", attribute_name="uv").outputs["Vector"]
        across = graph.node("ShaderNodeSeparateXYZ", uv).outputs[0]
        wave = graph.math("GREATER_THAN", graph.math("PINGPONG", across, 0.3), 0.15)
        colour = graph.mixed(graph.math("MULTIPLY", wave, 0.7), tint, (0.62, 0.60, 0.55))
        return self._matte(graph, self._snowed(graph, colour))

    def _tower(self, graph: Graph) -> Socket:
        """A far tower: rows of windows too small for panes."""
        tint, _ = self._tint(graph)
        uv = graph.node("ShaderNodeAttribute", attribute_name="uv").outputs["Vector"]
        part = graph.node("ShaderNodeSeparateXYZ", uv)
        u = graph.math("GREATER_THAN", graph.math("PINGPONG", part.outputs[0], 1.3), 0.6)
        v = graph.math("GREATER_THAN", graph.math("PINGPONG", part.outputs[1], 1.6), 0.8)
        window = graph.math("MULTIPLY", u, v)
        colour = graph.mixed(graph.math("MULTIPLY", window, 0.7), tint, (0.05, 0.06, 0.07))
        return self._matte(graph, colour)

    def _leaf(self, graph: Graph) -> Socket:
        """Lit through from behind."""
        tint, _ = self._tint(graph)
        colour = self._snowed(graph, tint, 0.75)
        through = graph.node("ShaderNodeBsdfTranslucent", colour).outputs[0]
        return graph.blend(0.4, self._matte(graph, colour), through)

    def _bulb(self, graph: Graph) -> Socket:
        tint, _ = self._tint(graph)
        if not self._climate.lamps:
            return self._matte(graph, tint)
        warm = (1.0, 0.72, 0.40, 1.0)
        return graph.node("ShaderNodeEmission", warm, LAMP_LIGHT * self._climate.glow).outputs[0]

    def _paint(self, graph: Graph) -> Socket:
        """Car paint under clear coat."""
        tint, _ = self._tint(graph)
        body = self._matte(graph, self._snowed(graph, tint))
        return graph.blend(self._fresnel(graph, 0.06, 0.9), body, self._gloss(graph, 0.06))

    def _glass(self, graph: Graph) -> Socket:
        """Tinted glass of cars: dark inside, mirror outside."""
        body = self._matte(graph, self._snowed(graph, graph.vector("MULTIPLY", self._tint(graph)[0],
                                                (0.35, 0.35, 0.35)), 0.6))  # fmt: skip
        return graph.blend(self._fresnel(graph, 0.12, 0.95), body, self._gloss(graph, 0.02))

    def _chrome(self, graph: Graph) -> Socket:
        tint, _ = self._tint(graph)
        return graph.blend(0.6, self._matte(graph, tint), self._gloss(graph, 0.15))

    def _car_lamp(self, graph: Graph) -> Socket:
        """A lens; lit where its glow is set and lamps are on."""
        tint, glow = self._tint(graph)
        body = graph.blend(0.25, self._matte(graph, tint), self._gloss(graph, 0.05))
        if not (self._climate.lamps or self._climate.wet):
            return body
        strength = graph.math("MULTIPLY", glow, 9.0 * max(self._climate.glow, 0.3))
        lamp = graph.node("ShaderNodeEmission", tint, strength).outputs[0]
        return graph.node("ShaderNodeAddShader", body, lamp).outputs[0]

    def _worn_cloth(self, graph: Graph) -> Socket:
        tint, _ = self._tint(graph)
        folds = graph.image(self._cloth, self._uv(graph, 0.55)).outputs[0]
        return self._matte(graph, graph.vector("MULTIPLY", tint, folds))
