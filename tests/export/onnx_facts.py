"""What a graph costs and moves, counted from ONNX: operations, and copies of the cache.

Operations are two a multiply-add, matrix products and attention only, as `c2r describe` counts.
Knows ONNX, not where a graph came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import onnx_ir as ir

RESHAPES = ("Reshape", "Squeeze", "Unsqueeze")
"""What gives the same memory another shape."""
DATA_SHAPED = ("NonZero", "Unique", "Compress", "NonMaxSuppression", "Loop", "If", "Scan")
"""Operators whose output's shape is only known from the values that they are given."""
SHAPE_OPERANDS = {
    "Reshape": (1,),
    "Expand": (1,),
    "Tile": (1,),
    "Pad": (1, 3),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Unsqueeze": (1,),
    "ConstantOfShape": (0,),
    "Range": (0, 1, 2),
    "OneHot": (1,),
    "TopK": (1,),
    "Resize": (2, 3),
}
"""Which inputs of an operator decide the shape of what it gives."""


@dataclass(frozen=True)
class Shapes:
    """Sizes of values once the changing ones are given."""

    sizes: Mapping[str, int]

    def of(self, value: ir.Value) -> tuple[int, ...]:
        """The shape of a value; `KeyError` for a size that is not given."""
        assert value.shape is not None, value.name
        return tuple(self._side(side) for side in value.shape)

    def _side(self, side: int | ir.SymbolicDim) -> int:
        if isinstance(side, int):
            return side
        total = 1  # the exporter writes products of sizes: 144*P
        for factor in str(side).split("*"):
            total *= self.sizes[factor] if factor in self.sizes else int(factor)
        return total


def operations(graph: ir.Graph, sizes: Mapping[str, int]) -> int:
    """Operations of one run."""
    shapes, total = Shapes(sizes), 0
    for node in graph:
        if node.op_type in ("MatMul", "Gemm"):
            left, right = node.inputs[0], node.inputs[1]
            assert left is not None
            assert right is not None
            total += 2 * prod(shapes.of(left)) * shapes.of(right)[-1]
        elif node.op_type == "Attention":
            query, key = node.inputs[0], node.inputs[1]
            assert query is not None
            assert key is not None
            queries, keys = shapes.of(query), shapes.of(key)
            total += 4 * prod(queries) * keys[1] if len(keys) == 3 else 4 * prod(queries) * keys[2]
    return total


def readers_of_cache(
    graph: ir.Graph, prefixes: tuple[str, ...] = ("keys.", "values.")
) -> dict[str, list[str]]:
    """Operators that are given cache memory, by name of the cache input, in order.

    Followed through what keeps the memory (`RESHAPES`), through `TensorScatter` (writes in place)
    and through `Slice` (its filled part).
    """
    found: dict[str, list[str]] = {}
    for value in graph.inputs:
        if value.name is not None and value.name.startswith(prefixes):
            found[value.name] = []
            _follow(value, found[value.name])
    return found


def _follow(value: ir.Value, found: list[str]) -> None:
    for node, place in value.uses():
        follows = place == 0 and node.op_type in ("TensorScatter", "Slice", *RESHAPES)
        if node.op_type not in RESHAPES:
            found.append(node.op_type)
        if follows:
            _follow(node.outputs[0], found)


def shapes_from_data(graph: ir.Graph) -> list[str]:
    """Nodes whose output's shape follows from values, not from shapes: none is wanted.

    Either the operator is of that kind, or its operand that says a shape comes from the value of an
    input by another way than `Shape` and `Size`.
    """
    return [f"{node.op_type} {node.name}" for node in graph if _shaped_by_data(node)]


def _shaped_by_data(node: ir.Node) -> bool:
    if node.op_type in DATA_SHAPED:
        return True
    operands = [
        node.inputs[i] for i in SHAPE_OPERANDS.get(node.op_type, ()) if i < len(node.inputs)
    ]
    return any(_from_data(value) for value in operands if value is not None)


def _from_data(value: ir.Value) -> bool:
    """Whether a value depends on the content of a graph's input."""
    if value.const_value is not None:
        return False
    node = value.producer()
    if node is None:
        return True  # an input; a weight has its value
    if node.op_type in ("Shape", "Size"):
        return False
    return any(_from_data(source) for source in node.inputs if source is not None)
