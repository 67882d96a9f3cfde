"""The third way to a plan: torch-tensorrt, straight from torch.export, without ONNX.

It suits the graphs whose caches are small tensors. The denoise step writes its cache in place,
which only the ONNX operator expresses; it goes the ordinary way.
"""

from __future__ import annotations

from typing import Any

import torch

from c2r.exported import names
from export.graphs import Graph


def suits(graph: Graph) -> bool:
    """Whether torch-tensorrt can take the graph: one shape, and nothing written in place."""
    return graph.name != names.DENOISE and not graph.axes


def build_by_torch_tensorrt(torch_tensorrt: Any, graph: Graph) -> bytes:
    """The serialised plan, with the types of the module; names as the graph has them."""
    arguments = tuple(graph.inputs.values())
    with torch.no_grad():
        traced = torch.export.export(graph.module, arguments, strict=False)
    plan: bytes = torch_tensorrt.dynamo.convert_exported_program_to_serialized_trt_engine(
        traced,
        arg_inputs=arguments,
        use_explicit_typing=True,
    )
    return plan
