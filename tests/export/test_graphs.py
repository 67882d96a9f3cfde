"""The graphs: names, sizes, what they copy, what they cost."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest
import torch

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")

import onnx_ir as ir

from c2r.exported.names import graphs_of, seen_latents
from c2r.models.build import Networks, build_control, build_dit
from c2r.models.configs import ControlConfig, StreamConfig
from c2r.models.precision import cast
from c2r.models.presets import get_preset
from export.graphs import build_graphs, denoise_graph
from export.onnx_export import export_onnx, export_program, onnx_specs
from tests.debug_networks import debug_networks
from tests.export.onnx_facts import (
    RESHAPES,
    Shapes,
    operations,
    readers_of_cache,
    shapes_from_data,
)

FACTS_TFLOP = {6: 20.2, 9: 24.3, 12: 28.3, 21: 40.4}
"""Of one pass over a chunk of 3 latents at 832x480, by latents seen."""


@pytest.mark.parametrize(
    ("chunk", "window", "expected"),
    [(3, 9, (3, 6, 9)), (3, 10, (3, 6, 9, 10)), (1, 3, (1, 2, 3)), (2, 2, (2,))],
)
def test_fill_levels(chunk, window, expected):
    assert seen_latents(StreamConfig(chunk=chunk, window=window, sink=0)) == expected


def test_a_renderer_without_control_needs_no_dino():
    networks = debug_networks(control=ControlConfig(kind="none"))
    graphs = build_graphs(networks)
    assert tuple(graphs) == graphs_of(networks.preset) == ("denoise", "decode_first", "decode")
    assert "control" not in graphs["denoise"].inputs


def test_what_cannot_be_exported_is_refused():
    """With both ways out: clones in every pass, or a backend that needs no graph."""
    control = ControlConfig(kind="controlnet", hidden=32, inject="first:1", every_pass=False)
    fix = r"every_pass off cannot .* --control\.every_pass true, or serve with --backend compiled"
    with pytest.raises(ValueError, match=fix):
        build_graphs(debug_networks(control=control))


def student(layers: int) -> Networks:
    """`wan-1.3b` as it is at 832x480, but for the number of its blocks; weights without values."""
    preset = get_preset("wan-1.3b")
    fewer = replace(preset, dit=replace(preset.dit, layers=layers))
    with torch.device("meta"):
        dit, control = build_dit(fewer), build_control(fewer)
    assert control is not None
    return Networks(
        fewer,
        cast(dit, torch.bfloat16).to_empty(device="cpu").requires_grad_(False),
        cast(control, torch.bfloat16).to_empty(device="cpu").requires_grad_(False),
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
        None,  # type: ignore[arg-type]
    )


@pytest.fixture(scope="module")
def denoise() -> dict[int, ir.Graph]:
    """The denoise graph of `wan-1.3b` with one block and with two."""
    return {layers: export_program(denoise_graph(student(layers))).model.graph for layers in (1, 2)}


def test_the_cache_is_written_in_place_and_read_where_it_lies(denoise):
    """No node but the in-place write and the filled part's slice is given cache memory."""
    for layers, graph in denoise.items():
        readers = readers_of_cache(graph)
        assert len(readers) == 2 * layers
        path = ("TensorScatter", "Slice", "Attention")
        assert {tuple(found) for found in readers.values()} == {path}


def test_what_is_as_large_as_the_cache_is_the_cache(denoise):
    """At a full window no node copies a layer's keys; those that may give the same memory."""
    preset = get_preset("wan-1.3b")
    whole = preset.stream.window * preset.tokens_per_latent * preset.dit.dim
    shapes, same = Shapes({"P": preset.stream.window}), {"TensorScatter", "Slice", *RESHAPES}
    found = [
        node.op_type
        for node in denoise[2]
        for value in node.outputs
        if value.shape is not None and prod(shapes.of(value)) == whole
    ]
    assert found.count("TensorScatter") == 2 * 2
    assert {*found} <= same


def test_no_shape_follows_from_data(denoise):
    for graph in denoise.values():
        assert shapes_from_data(graph) == []
        assert [str(side) for side in graph.inputs[2].shape] == ["P"]


def test_shapes_from_data_are_seen():
    """The check can fail: an operator of that kind, and a slice as long as a value says."""
    count = ir.Value(name="count", shape=ir.Shape([1]), type=ir.TensorType(ir.DataType.INT64))
    x = ir.Value(name="x", shape=ir.Shape([4]), type=ir.TensorType(ir.DataType.FLOAT))
    twice = ir.Node("", "Add", [count, count])
    zero = ir.Value(name="zero", const_value=ir.tensor([0]))
    cut = ir.Node("", "Slice", [x, zero, twice.outputs[0]], name="by_value")
    shape = ir.Node("", "Shape", [x])
    sized = ir.Node("", "Slice", [x, zero, shape.outputs[0]], name="by_shape")
    some = ir.Node("", "NonZero", [x], name="some")
    nodes = [twice, cut, shape, sized, some]
    graph = ir.Graph([x, count], [cut.outputs[0]], nodes=nodes, initializers=[zero])
    assert shapes_from_data(graph) == ["Slice by_value", "NonZero some"]


def test_operations_of_the_student_agree_with_the_published_count(denoise):
    """The other 28 blocks cost what the second one does."""
    counted = {
        layers: {level: operations(graph, {"P": level}) for level in FACTS_TFLOP}
        for layers, graph in denoise.items()
    }
    for level, expected in FACTS_TFLOP.items():
        block = counted[2][level] - counted[1][level]
        total = counted[1][level] + (get_preset("wan-1.3b").dit.layers - 1) * block
        assert total / 1e12 == pytest.approx(expected, rel=0.05)


def test_files_are_the_same_again(tmp_path):
    """Names and order do not depend on the run."""
    graph, same = (build_graphs(debug_networks())["control"] for _ in range(2))
    first, again = tmp_path / "1.onnx", tmp_path / "2.onnx"
    export_onnx(graph, first, {"c2r.graph": "control"})
    export_onnx(same, again, {"c2r.graph": "control"})
    assert first.read_bytes() == again.read_bytes()
    inputs, outputs = onnx_specs(first)
    assert [spec.name for spec in inputs] == list(graph.inputs)
    assert [spec.name for spec in outputs] == list(graph.outputs)


def test_a_short_first_chunk_has_no_engines():
    with pytest.raises(ValueError, match=r"engines take chunks of one size"):
        seen_latents(StreamConfig(chunk=3, window=9, sink=3, first_chunk=1))
