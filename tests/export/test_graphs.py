"""The graphs: names, sizes, what they copy, what they cost."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")

from c2r.engines.names import fill_levels, graphs_of
from c2r.models.build import Networks, build_control, build_dit
from c2r.models.precision import cast
from c2r.models.presets import ControlConfig, StreamConfig, get_preset
from export.graphs import build_graphs, denoise_graph
from export.onnx_export import export_onnx, export_program, onnx_specs
from export.onnx_facts import operations, readers_of_cache, shapes_from_data
from tests.export.small import SMALL, small_networks

FACTS_TFLOP = {6: 20.2, 9: 24.3}
"""Of one pass over a chunk of 3 latents at 832x480, by window."""


@pytest.mark.parametrize(
    ("chunk", "window", "expected"),
    [(3, 9, (3, 6, 9)), (3, 10, (3, 6, 9, 10)), (1, 3, (1, 2, 3)), (2, 2, (2,))],
)
def test_fill_levels(chunk, window, expected):
    assert fill_levels(StreamConfig(chunk=chunk, window=window, sink=0)) == expected


def test_a_renderer_without_control_needs_no_dino():
    networks = small_networks(control=ControlConfig(kind="none"))
    graphs = build_graphs(networks)
    assert tuple(graphs) == graphs_of(networks.preset) == ("denoise", "decode_first", "decode")
    assert "control" not in graphs["denoise"].inputs


def test_what_cannot_be_exported_is_refused():
    control = ControlConfig(kind="controlnet", hidden=32, inject="first:1", every_pass=False)
    with pytest.raises(ValueError, match="every_pass"):
        build_graphs(small_networks(control=control))


@pytest.fixture(scope="module")
def denoise():
    return export_program(denoise_graph(small_networks())).model.graph


def test_the_cache_is_written_in_place_and_read_where_it_lies(denoise):
    """No node but the in-place write and the filled part's slice is given cache memory."""
    readers = readers_of_cache(denoise)
    assert len(readers) == 2 * SMALL.dit.layers
    assert {tuple(found) for found in readers.values()} == {("TensorScatter", "Slice", "Attention")}


def test_no_shape_follows_from_data(denoise):
    assert shapes_from_data(denoise) == []
    assert [str(side) for side in denoise.inputs[2].shape] == ["P"]


def test_operations_of_the_student_agree_with_the_published_count():
    """One and two layers are traced at the full width and size; the other 28 cost the same."""
    preset, counted = get_preset("wan-1.3b"), {}
    for layers in (1, 2):
        fewer = replace(preset, dit=replace(preset.dit, layers=layers))
        with torch.device("meta"):
            dit, control = build_dit(fewer), build_control(fewer)
        assert control is not None
        networks = Networks(
            fewer,
            cast(dit, torch.bfloat16).to_empty(device="cpu").requires_grad_(False),
            cast(control, torch.bfloat16).to_empty(device="cpu").requires_grad_(False),
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
        )
        graph = export_program(denoise_graph(networks)).model.graph
        counted[layers] = {level: operations(graph, {"P": level}) for level in FACTS_TFLOP}
    for level, expected in FACTS_TFLOP.items():
        layer = counted[2][level] - counted[1][level]
        total = counted[1][level] + (preset.dit.layers - 1) * layer
        assert total / 1e12 == pytest.approx(expected, rel=0.05)


def test_files_are_the_same_again(tmp_path):
    """Names and order do not depend on the run."""
    graphs = build_graphs(small_networks())
    for name in ("control", "decode"):
        first, again = tmp_path / "1.onnx", tmp_path / "2.onnx"
        export_onnx(graphs[name], first, {"c2r.graph": name})
        export_onnx(build_graphs(small_networks())[name], again, {"c2r.graph": name})
        assert first.read_bytes() == again.read_bytes()
        inputs, outputs = onnx_specs(first)
        assert [spec.name for spec in inputs] == list(graphs[name].inputs)
        assert [spec.name for spec in outputs] == list(graphs[name].outputs)
