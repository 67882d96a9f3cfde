"""A short way to write shader graphs."""

from __future__ import annotations

from typing import Any, TypeAlias

import bpy
import numpy as np
from numpy.typing import NDArray

Socket: TypeAlias = Any
"""A `bpy.types.NodeSocket`; bpy has no types to check against."""
Value: TypeAlias = Any
"""A socket to link, or a plain value for an input."""


def new_image(name: str, pixels: NDArray[np.float32]) -> bpy.types.Image:
    """A float image of linear values [H, W, 3 or 4], row 0 at the bottom."""
    height, width, depth = pixels.shape
    full = np.ones((height, width, 4), np.float32)
    full[..., :depth] = pixels
    image = bpy.data.images.new(name, width, height, alpha=True, float_buffer=True, is_data=True)
    image.alpha_mode = "CHANNEL_PACKED"
    image.pixels.foreach_set(full.ravel())
    return image


class Graph:
    """The nodes of one material or world; every method adds a node and returns its output."""

    def __init__(self, tree: bpy.types.NodeTree) -> None:
        self._tree = tree
        tree.nodes.clear()

    def node(self, kind: str, *inputs: Value, **settings: Any) -> bpy.types.Node:
        """A node with its inputs in order, None for those left as they are."""
        node = self._tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for socket, value in zip(node.inputs, inputs, strict=False):
            self.feed(socket, value)
        return node

    def feed(self, socket: Socket, value: Value) -> None:
        """Links a socket to an input, or sets the input's plain value."""
        if isinstance(value, bpy.types.NodeSocket):
            self._tree.links.new(value, socket)
        elif value is not None:
            socket.default_value = value

    def math(self, operation: str, *inputs: Value, clamp: bool = False) -> Socket:
        node = self.node("ShaderNodeMath", *inputs, operation=operation, use_clamp=clamp)
        return node.outputs[0]

    def vector(self, operation: str, *inputs: Value) -> Socket:
        return self.node("ShaderNodeVectorMath", *inputs, operation=operation).outputs[0]

    def scaled(self, colour: Value, by: Value) -> Socket:
        node = self.node("ShaderNodeVectorMath", colour, operation="SCALE")
        self.feed(node.inputs["Scale"], by)
        return node.outputs[0]

    def mixed(self, share: Value, a: Value, b: Value) -> Socket:
        """`a` where the share is 0, `b` where it is 1; vectors or colours."""
        node = self.node("ShaderNodeMix", data_type="VECTOR", clamp_factor=True)
        self.feed(node.inputs[0], share)
        self.feed(node.inputs[4], a)
        self.feed(node.inputs[5], b)
        return node.outputs[1]

    def image(self, image: bpy.types.Image, at: Value) -> bpy.types.Node:
        return self.node("ShaderNodeTexImage", at, image=image)

    def blend(self, share: Value, a: Socket, b: Socket) -> Socket:
        return self.node("ShaderNodeMixShader", share, a, b).outputs[0]

    def finish(self, shader: Socket, kind: str = "ShaderNodeOutputMaterial") -> None:
        self.node(kind, shader)
