"""TensorRT for RTX, ahead of time and without a GPU: built, read back, refused."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
pytest.importorskip("tensorrt_rtx", reason="the extra `trt` is not installed")

from c2r.exported.manifest import MANIFEST, EngineEntry, TensorSpec, read_manifest
from c2r.models.configs import ControlConfig
from c2r.models.presets import get_preset
from c2r.weights.renderer import seeded_networks
from export.build import BuildRequest, build_engines
from export.builders.plan import check_plan, plan_graphs
from export.builders.targets import get_target
from export.builders.tensorrt_builder import BuildOptions, build_engine
from export.graphs import denoise_graph
from export.onnx_export import export_onnx, onnx_specs
from export.parity import verify_folder
from export.precision.calibrate import split_layers
from export.precision.quantize import quantize
from runtime.backends import stages_of
from tests.export.small import small_networks

HARDWARE = (89, 120)


def build(folder, capabilities=HARDWARE, precision="bfloat16", strip=False, **changes):
    networks = small_networks(dtype=getattr(torch, precision), **changes)
    request = BuildRequest(get_target("rtx"), folder, precision, capabilities, strip)
    return build_engines(networks, request, say=lambda _: None)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rtx")
    build(folder)
    return folder


def test_every_engine_is_there_and_is_what_the_manifest_says(built):
    manifest = read_manifest(built)
    made = {(entry.graph, entry.compute_capability) for entry in manifest.engines}
    assert len(made) == len(manifest.engines) == 6 * len(HARDWARE)
    for entry in manifest.engines:
        check_plan((built / entry.file).read_bytes(), entry)
    if not torch.cuda.is_available():
        assert "not run" in manifest.verified["not_run"]


def test_the_tiny_preset_builds_whole(tmp_path):
    """The shape that ships, for both kinds of hardware."""
    networks = seeded_networks(get_preset("tiny"), 1, dtype=torch.bfloat16)
    request = BuildRequest(get_target("rtx"), tmp_path, "bfloat16", HARDWARE, False)
    manifest = build_engines(networks, request, say=lambda _: None)
    assert len(manifest.engines) == 6 * len(HARDWARE)
    for entry in manifest.engines:
        check_plan((tmp_path / entry.file).read_bytes(), entry)
    assert read_manifest(tmp_path).preset == "tiny"


def wrong(entry: EngineEntry, field: str) -> EngineEntry:
    first, *rest = entry.inputs
    changed = {
        "type": TensorSpec(first.name, "int64", first.shape),
        "size": TensorSpec(first.name, first.dtype, (*first.shape[:-1], 7)),
        "name": TensorSpec("other", first.dtype, first.shape),
    }
    if field == "hardware":
        return replace(entry, compute_capability=86)
    if field == "profile":
        return replace(entry, profiles=({"P": 2}, {"P": 3}, {"P": 6}))
    return replace(entry, inputs=(changed[field], *rest))


@pytest.mark.parametrize("field", ["type", "size", "name", "hardware", "profile"])
def test_reading_back_sees_what_differs(built, field):
    entry = read_manifest(built).entry("denoise", 89)
    plan = (built / entry.file).read_bytes()
    with pytest.raises(ValueError, match="the manifest says"):
        check_plan(plan, wrong(entry, field))


def test_what_is_no_plan(built):
    entry = read_manifest(built).entry("decode", 120)
    with pytest.raises(ValueError, match="is no plan"):
        check_plan(b"ONNX", entry)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="stripping compiles on a GPU")
def test_without_weights(built, tmp_path):
    """Smaller, and the ONNX file that it is refitted from belongs to it."""
    manifest = build(tmp_path, capabilities=(89,), strip=True)
    for entry in manifest.engines:
        whole = built / read_manifest(built).entry(entry.graph, 89).file
        assert (tmp_path / entry.file).stat().st_size < whole.stat().st_size
        assert [*entry.files] == [entry.file, f"{entry.graph}.onnx"]


def test_half_precision(tmp_path):
    without = ControlConfig(kind="none")
    manifest = build(tmp_path, capabilities=(86,), precision="float16", control=without)
    assert {entry.compute_capability for entry in manifest.engines} == {86}
    assert manifest.precision == "float16"


def test_fp8_products(tmp_path):
    """Built for hardware that has them, and really there: the plan names the type."""
    networks, path = small_networks(dtype=torch.bfloat16), tmp_path / "denoise.onnx"
    layers, _ = split_layers(networks, "fp8")
    graph = denoise_graph(networks)
    export_onnx(graph, path, {}, partial(quantize, scales=dict.fromkeys(layers, 0.01)))
    options = BuildOptions(compute_capability=89)
    inputs, _ = onnx_specs(path)
    plan = build_engine(get_target("rtx").library.load(), path, inputs, graph.profiles, options)
    kinds = {kind for made in plan_graphs(plan) for kind, _ in made.tensors.values()}
    assert "fp8" in " ".join(kinds)


def test_served_on_nothing_but_a_gpu(built):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ValueError, match="compute_capability: built for 89, 120"):
        stages_of(small_networks(dtype=torch.bfloat16), "tensorrt", built)


def test_verified_on_nothing_but_a_gpu(built):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    before = (built / MANIFEST).read_bytes()
    with pytest.raises(ValueError, match="cannot be verified here: no NVIDIA GPU"):
        verify_folder(small_networks(dtype=torch.bfloat16), built, say=lambda _: None)
    assert (built / MANIFEST).read_bytes() == before
