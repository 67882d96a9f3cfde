"""Calibrated linear layers of an ONNX graph in FP8: weights stored in E4M3, inputs rounded.

Each product becomes `DequantizeLinear(QuantizeLinear(x)) @ DequantizeLinear(weight)`, the form that
TensorRT turns into FP8 kernels and that onnxruntime computes as it is written. E4M3, one scale per
tensor for inputs and one per output channel for weights, as `export.precision.calibrate` rounds.

Shapes: I inputs and O outputs of a layer; ONNX keeps weights as `[I, O]`.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

import ml_dtypes
import numpy as np
import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from c2r.kernels.fp8 import E4M3_MAX, SMALLEST

SCOPES = "pkg.torch.onnx.name_scopes"
"""Where the exporter notes which module a node belongs to."""
PREFIX = "dit."
"""The DiT's name in the denoise graph."""


def quantize(model: ir.Model, scales: Mapping[str, float]) -> None:
    """Put the DiT's layers named in `scales` (layer -> scale of its input) into FP8, in place.

    `ValueError` when a layer has no product in the graph.
    """
    graph, left = model.graph, dict(scales)
    for node in list(graph):
        layer = _layer_of(node)
        if layer in left:
            _quantize_product(graph, node, layer, left.pop(layer))
    if left:
        raise ValueError(f"the graph has no product of layer {next(iter(left))}; calibrate again")
    RemoveUnusedNodesPass()(model)


def _layer_of(node: ir.Node) -> str:
    """Name of the DiT's linear layer whose product a node is; empty for all others."""
    # Attention's products have no constant operand, so a MatMul with one is a linear layer's.
    if node.op_type != "MatMul" or node.inputs[1] is None or node.inputs[1].const_value is None:
        return ""
    scopes = ast.literal_eval(node.metadata_props.get(SCOPES, "[]"))
    inside = [scope for scope in scopes if scope.startswith(PREFIX)]
    return inside[-1].removeprefix(PREFIX) if inside else ""


def _quantize_product(graph: ir.Graph, node: ir.Node, layer: str, scale: float) -> None:
    x, weight = node.inputs
    assert x is not None and x.dtype is not None  # noqa: PT018
    assert weight is not None and weight.const_value is not None  # noqa: PT018
    # DequantizeLinear gives its scale's type: float32 scales would make the product float32.
    half = x.dtype.numpy()
    exact = weight.const_value.numpy().astype(np.float32)
    channels = (np.abs(exact).max(axis=0).clip(SMALLEST) / E4M3_MAX).astype(half)
    stored = (exact / channels.astype(np.float32)).clip(-E4M3_MAX, E4M3_MAX)
    float8 = ml_dtypes.float8_e4m3fn

    def constant(name: str, value: Any) -> ir.Value:
        tensor = ir.tensor(value)
        initializer = ir.Value(name=f"{layer}.{name}", const_value=tensor)
        initializer.shape, initializer.type = ir.Shape(value.shape), ir.TensorType(tensor.dtype)
        graph.register_initializer(initializer)
        return initializer

    def inserted(
        name: str, kind: str, inputs: list[ir.Value], like: ir.Value, dtype: Any, **how: int
    ) -> ir.Value:
        new = ir.node(kind, inputs, attributes=how, name=f"{layer}.{name}")
        output = new.outputs[0]
        output.name, output.shape, output.type = new.name, like.shape, ir.TensorType(dtype)
        graph.insert_before(node, new)
        return output

    step = constant("input_scale", np.asarray(scale, np.float32).astype(half))
    zero = constant("zero", np.zeros((), float8))
    # Stored in FP8 rather than quantized in the graph: a quarter of float32's bytes.
    kept = constant("weight_fp8", stored.astype(float8))
    by_channel = constant("weight_scale", channels)
    # Directly before the product: TensorRT fuses Q/DQ only with a neighbour. With another node
    # between, it rounds and then multiplies in the wide type.
    rounded = inserted("input_fp8", "QuantizeLinear", [x, step, zero], x, ir.DataType.FLOAT8E4M3FN)
    widened = inserted("input", "DequantizeLinear", [rounded, step], x, x.dtype)
    opened = inserted("weight", "DequantizeLinear", [kept, by_channel], weight, x.dtype, axis=1)
    node.replace_input_with(0, widened)
    node.replace_input_with(1, opened)
