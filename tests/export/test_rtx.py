"""TensorRT for RTX, ahead of time and without a GPU: built, compared with ONNX, refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
pytest.importorskip("tensorrt_rtx", reason="the extra `trt` is not installed")

import onnx

from c2r.exported.manifest import MANIFEST, EngineEntry, TensorSpec, read_manifest
from c2r.models.presets import get_preset
from c2r.weights.renderer import seeded_networks
from export.build import BuildRequest, build_exported
from export.builders.targets import get_target
from export.builders.tensorrt_builder import BuildOptions, build_plan, check_network
from export.graphs import denoise_graph
from export.onnx_export import export_onnx, onnx_specs
from export.precision.calibrate import split_layers
from export.precision.quantize import quantize
from export.verify import verify_folder
from runtime.backends import stages_of
from tests.debug_networks import DEBUG, debug_networks

HARDWARE = (89, 120)
PLAN = b"vtrt"
"""What a plan of TensorRT for RTX begins with."""


def shallow(dtype):
    """The debug preset with one block: more would be the same operators again."""
    return debug_networks(dtype=dtype, dit=replace(DEBUG.dit, layers=1))


def build(folder, networks, capabilities=HARDWARE, strip=False):
    precision = str(networks.dit.dtype).removeprefix("torch.")
    request = BuildRequest(get_target("rtx"), folder, precision, capabilities, strip)
    return build_exported(networks, request, say=lambda _: None)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtx")
    build(folder, shallow(torch.bfloat16))
    return folder


def test_every_plan_is_there(built):
    manifest = read_manifest(built)
    plans = {(entry.graph, entry.compute_capability) for entry in manifest.engines}
    assert len(plans) == len(manifest.engines) == 6 * len(HARDWARE)
    for entry in manifest.engines:
        assert (built / entry.file).read_bytes()[:4] == PLAN
    if not torch.cuda.is_available():
        assert "not run" in manifest.verified["not_run"]


def test_the_shape_that_ships_builds_in_half_precision(tmp_path):
    """The tiny preset's sizes, with one block."""
    tiny = get_preset("tiny")
    preset = replace(tiny, dit=replace(tiny.dit, layers=1), dino=replace(tiny.dino, layers=1))
    manifest = build(tmp_path, seeded_networks(preset, 1, dtype=torch.float16), (86,))
    assert {entry.compute_capability for entry in manifest.engines} == {86}
    assert len(manifest.engines) == 6
    assert (read_manifest(tmp_path).preset, manifest.precision) == ("tiny", "float16")


@pytest.fixture(scope="module")
def parsed(built):
    """The denoise graph's entry, and the network that the library reads from its ONNX file."""
    trt = get_target("rtx").library.load()
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(built / "denoise.onnx"))
    yield read_manifest(built).entry("denoise", 89), network
    del network, parser, builder  # in this order: a network must not outlive its builder


def wrong(entry: EngineEntry, field: str) -> EngineEntry:
    first, *rest = entry.inputs
    changed = {
        "type": TensorSpec(first.name, "int64", first.shape),
        "size": TensorSpec(first.name, first.dtype, (*first.shape[:-1], 7)),
        "name": TensorSpec("other", first.dtype, first.shape),
    }
    return replace(entry, inputs=(changed[field], *rest))


@pytest.mark.parametrize("field", ["type", "size", "name"])
def test_what_the_library_reads_is_compared_with_the_entry(parsed, field):
    entry, network = parsed
    check_network(network, entry)
    with pytest.raises(ValueError, match="would not fit its manifest"):
        check_network(network, wrong(entry, field))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="stripping compiles on a GPU")
def test_without_weights(built, tmp_path):
    """Smaller, and the ONNX file that it is refitted from belongs to it."""
    networks = shallow(torch.bfloat16)
    for entry in build(tmp_path, networks, capabilities=(89,), strip=True).engines:
        whole = built / read_manifest(built).entry(entry.graph, 89).file
        assert (tmp_path / entry.file).stat().st_size < whole.stat().st_size
        assert [*entry.files] == [entry.file, f"{entry.graph}.onnx"]


def test_fp8_products(tmp_path):
    """Built for hardware that has them, of a graph that holds every calibrated weight in FP8."""
    networks, path = shallow(torch.bfloat16), tmp_path / "denoise.onnx"
    layers, _ = split_layers(networks)
    graph = denoise_graph(networks)
    export_onnx(graph, path, {}, partial(quantize, scales=dict.fromkeys(layers, 0.01)))
    kinds = [tensor.data_type for tensor in onnx.load(path).graph.initializer if tensor.dims]
    assert kinds.count(onnx.TensorProto.FLOAT8E4M3FN) == len(layers)
    inputs, outputs = onnx_specs(path)
    entry = EngineEntry("denoise", "", {path.name: ""}, inputs, outputs, graph.profiles)
    plan = build_plan(get_target("rtx").library.load(), path, entry, BuildOptions(89))
    assert bytes(plan[:4]) == PLAN


def test_served_on_nothing_but_a_gpu(built):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="compute_capability: built for 89, 120"):
        stages_of(shallow(torch.bfloat16), "tensorrt", built)


def test_verified_on_nothing_but_a_gpu(built):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    before = (built / MANIFEST).read_bytes()
    with pytest.raises(ValueError, match="cannot be verified here: no NVIDIA GPU"):
        verify_folder(shallow(torch.bfloat16), built, say=lambda _: None)
    assert (built / MANIFEST).read_bytes() == before
