"""A graph as an ONNX file: exported by torch.export, named, labelled and checked.

Knows no network: it takes a `Graph` as it is.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from inspect import Parameter, signature
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch
from torch.export import Dim, ExportedProgram
from torch.onnx import ONNXProgram

from c2r.exported.manifest import TensorSpec
from export.graphs import OPSET, Graph

EXTERNAL_ABOVE = 1 << 30
"""Larger weights are written beside the graph: protobuf, and so an ONNX file, ends at 2 GiB."""

DTYPES: dict[int, str] = {
    onnx.TensorProto.FLOAT: "float32",
    onnx.TensorProto.FLOAT16: "float16",
    onnx.TensorProto.BFLOAT16: "bfloat16",
    onnx.TensorProto.INT64: "int64",
    onnx.TensorProto.INT32: "int32",
    onnx.TensorProto.UINT8: "uint8",
    onnx.TensorProto.BOOL: "bool",
}


def _dynamic_shapes(graph: Graph) -> tuple[Any, ...] | None:
    """The changing sizes as torch.export takes them: one entry per argument, `*rest` together."""
    if not graph.axes:
        return None
    values: dict[str, list[int]] = {}
    for profile in graph.profiles:
        for name, value in profile.items():
            values.setdefault(name, []).append(value)
    sizes = {name: Dim(name, min=min(some), max=max(some)) for name, some in values.items()}
    each = [
        {axis: sizes[name] for axis, name in graph.axes.get(tensor, {}).items()} or None
        for tensor in graph.inputs
    ]
    parameters = signature(graph.module.forward).parameters.values()
    fixed = sum(parameter.kind is not Parameter.VAR_POSITIONAL for parameter in parameters)
    rest = (tuple(each[fixed:]),) if fixed < len(parameters) else ()
    return (*each[:fixed], *rest)


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporter's warnings about packages that it does not need."""
    log = logging.getLogger("torch.onnx._internal.exporter._registration")
    level = log.level
    log.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            log.setLevel(level)


@torch.no_grad()
def export_program(graph: Graph) -> ONNXProgram:
    """The graph as ONNX in memory, with the names of its inputs and outputs."""
    arguments = tuple(graph.inputs.values())
    with _quiet():
        traced: ExportedProgram = torch.export.export(
            graph.module, arguments, dynamic_shapes=_dynamic_shapes(graph), strict=False
        )
        program = torch.onnx.export(
            traced,
            arguments,
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    _name_sizes(program, graph)
    return program


def _name_sizes(program: ONNXProgram, graph: Graph) -> None:
    """Rename the changing sizes from the exporter's names (`s80`) to the graph's (`P`).

    The exporter numbers them as it goes; files would otherwise differ from run to run.
    """
    inside = program.model.graph
    by_name = {value.name: value for value in inside.inputs}
    ours: dict[str, str] = {}
    for tensor, axes in graph.axes.items():
        shape = by_name[tensor].shape
        assert shape is not None
        ours |= {str(shape[axis]): name for axis, name in axes.items()}
    outputs = [output for node in inside for output in node.outputs]
    for value in (*inside.inputs, *outputs):
        for axis, side in enumerate(value.shape or ()):
            if value.shape is not None and not isinstance(side, int):
                factors = str(side).split("*")  # the exporter writes 144*s80
                value.shape[axis] = "*".join(ours.get(factor, factor) for factor in factors)


def weight_bytes(graph: Graph) -> int:
    """Bytes of the weights that the file will hold."""
    tensors = [*graph.module.parameters(), *graph.module.buffers()]
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def export_onnx(
    graph: Graph,
    path: Path,
    metadata: Mapping[str, str],
    rewrite: Callable[[ir.Model], None] | None = None,
) -> list[Path]:
    """Write the graph to `path`, large weights to `path` + `.data`. Gives the files, `path` first.

    `metadata` becomes the model's properties. `rewrite` changes the model before it is written. The
    file is checked; `ValueError` if it is not valid ONNX.
    """
    program = export_program(graph)
    if rewrite is not None:
        rewrite(program.model)
    program.model.metadata_props.update(metadata)
    program.save(path, external_data=weight_bytes(graph) > EXTERNAL_ABOVE)
    check_onnx(path)
    data = path.with_name(path.name + ".data")
    return [path, data] if data.exists() else [path]


def check_onnx(path: Path) -> None:
    """`ValueError` unless onnx.checker accepts the file."""
    try:
        onnx.checker.check_model(path)
    except onnx.checker.ValidationError as error:
        raise ValueError(f"{path} is not valid ONNX: {error}") from error


def onnx_specs(path: Path) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs as the file states them."""
    graph = onnx.load(path, load_external_data=False).graph
    return tuple(map(_spec, graph.input)), tuple(map(_spec, graph.output))


def _spec(value: onnx.ValueInfoProto) -> TensorSpec:
    tensor = value.type.tensor_type
    shape = tuple(side.dim_param or side.dim_value for side in tensor.shape.dim)
    return TensorSpec(value.name, DTYPES[tensor.elem_type], shape)
