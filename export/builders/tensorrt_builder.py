"""A graph as a plan, the serialised form of an exported engine.

Two ways. From ONNX by TensorRT or TensorRT for RTX, whose Python APIs are the same here: `trt` is
either module. Or by torch-tensorrt straight from torch.export, for graphs whose caches are small
tensors; denoise writes its cache in place, which only the ONNX operator expresses.

Knows nothing of folders.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from c2r.exported import names
from c2r.exported.manifest import EngineEntry, TensorSpec
from export.graphs import Graph

TYPES = {"float32": "FLOAT", "float16": "HALF", "bfloat16": "BF16", "int64": "INT64"}
"""TensorRT's names of the types that a graph's inputs and outputs have."""


@dataclass(frozen=True)
class BuildOptions:
    """How to build. `strip`: leave the weights out; they are refitted when the plan is loaded.

    `compute_capability` None: the GPU of this machine. `timing_cache`: where a library that tries
    kernels out keeps what it measured.
    """

    compute_capability: int | None = None
    strip: bool = False
    timing_cache: Path | None = None


class Messages:
    """What the library said, for the error message. Warnings are dropped: they are of no use."""

    def __init__(self) -> None:
        self.errors: list[str] = []

    def text(self) -> str:
        return "; ".join(self.errors[-3:]) or "no reason given"


def _logger(trt: Any, messages: Messages) -> Any:
    class Logger(trt.ILogger):
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            # Without a GPU the missing driver is an "error" many times over, and no fault.
            if severity in (self.ERROR, self.INTERNAL_ERROR) and "cudaError" not in message:
                messages.errors.append(message)

    return Logger()


def build_plan(trt: Any, onnx_file: Path, entry: EngineEntry, options: BuildOptions) -> memoryview:
    """The plan of an ONNX file, strongly typed: the types are those of the file.

    `entry`: the file's inputs, outputs and profiles. `ValueError`, with the library's own words,
    when the plan cannot be built or the library reads other inputs and outputs.
    """
    messages = Messages()
    logger = _logger(trt, messages)
    builder = trt.Builder(logger)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(onnx_file)):
        errors = "; ".join(parser.get_error(i).desc() for i in range(parser.num_errors))
        raise ValueError(f"{onnx_file.name} cannot be parsed for {trt.__name__}: {errors}")
    check_network(network, entry)
    config = _config(trt, builder, options)
    for profile in entry.profiles:
        _add_profile(builder, config, entry.inputs, profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise ValueError(f"{trt.__name__} cannot build {onnx_file.name}: {messages.text()}")
    _keep_timing(config, options)
    return memoryview(plan)


def check_network(network: Any, entry: EngineEntry) -> None:
    """`ValueError` unless the parsed network has the entry's inputs and outputs, types and sizes.

    A plan itself can only be read where there is a driver; there the session compares it again.
    """
    parsed = {tensor.name: tensor for tensor in _borders(network)}
    for spec in (*entry.inputs, *entry.outputs):
        wanted = TYPES[spec.dtype], tuple(-1 if isinstance(s, str) else s for s in spec.shape)
        tensor = parsed.get(spec.name)
        given = None if tensor is None else (tensor.dtype.name, tuple(tensor.shape))
        if given != wanted:
            raise ValueError(
                f"TensorRT reads {spec.name} as {given}, the graph has {wanted}; the exported "
                "engine would not fit its manifest"
            )


def _borders(network: Any) -> Iterator[Any]:
    yield from (network.get_input(i) for i in range(network.num_inputs))
    yield from (network.get_output(i) for i in range(network.num_outputs))


def _config(trt: Any, builder: Any, options: BuildOptions) -> Any:
    config = builder.create_builder_config()
    if options.compute_capability is not None:
        # One plan per capability: a plan that can be refitted cannot be for several.
        config.num_compute_capabilities = 1
        capability = getattr(trt.ComputeCapability, f"SM{options.compute_capability}")
        config.set_compute_capability(capability, 0)
    if options.strip:
        # Leaves out the weights that a refit can restore; the session refits them from the ONNX
        # file when it loads the plan, so that file must stay beside it.
        config.set_flag(trt.BuilderFlag.STRIP_PLAN)
    if options.timing_cache is not None:
        known = options.timing_cache.read_bytes() if options.timing_cache.exists() else b""
        config.set_timing_cache(config.create_timing_cache(known), ignore_mismatch=False)
    return config


def _add_profile(
    builder: Any, config: Any, inputs: Sequence[TensorSpec], profile: Mapping[str, int]
) -> None:
    """One profile per fill level of the cache: its smallest, usual and largest size are the same.

    A profile over a range is tuned for one size and allocates for the largest; exact ones have no
    size that kernels were not picked for, and share the weights.
    """
    sizes = builder.create_optimization_profile()
    for spec in inputs:
        if any(isinstance(side, str) for side in spec.shape):
            shape = tuple(profile[side] if isinstance(side, str) else side for side in spec.shape)
            sizes.set_shape(spec.name, shape, shape, shape)
    index = config.add_optimization_profile(sizes)
    assert index >= 0, f"profile {profile} was not taken"


def _keep_timing(config: Any, options: BuildOptions) -> None:
    if options.timing_cache is not None:
        partial = options.timing_cache.with_name(f".{options.timing_cache.name}.partial")
        partial.write_bytes(bytes(config.get_timing_cache().serialize()))
        partial.replace(options.timing_cache)


def suits_torch_tensorrt(graph: Graph) -> bool:
    """Whether torch-tensorrt can take the graph: one shape, and nothing written in place."""
    return graph.name != names.DENOISE and not graph.axes


def build_by_torch_tensorrt(torch_tensorrt: Any, graph: Graph) -> bytes:
    """The plan of a graph with the types of its module; inputs and outputs in the graph's order."""
    arguments = tuple(graph.inputs.values())
    with torch.no_grad():
        traced = torch.export.export(graph.module, arguments, strict=False)
    plan: bytes = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine(
        traced,
        arg_inputs=arguments,
        use_explicit_typing=True,
    )
    return plan
