"""FP8: rounding, calibration on streams, the error per layer, and the ONNX rewrite."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from c2r.clips import VideoWriter
from c2r.exported.manifest import read_manifest
from c2r.kernels.fp8 import channel_scales, round_e4m3
from export.precision.calibrate import calibrate, rounded
from export.precision.clip_calibration import (
    ClipCalibration,
    CoarseClip,
    chunks_of,
    coarse_clips,
)
from export.verify import verify
from runtime.backends import stages_of
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import DEBUG, debug_networks
from tests.export.folders import copy_of


def test_e4m3_keeps_what_it_can_hold():
    exact = torch.tensor([0.0, 1.0, -1.125, 448.0, 2**-6])
    assert torch.equal(round_e4m3(exact, 1.0), exact)
    assert round_e4m3(torch.tensor([1000.0, -1000.0]), 1.0).tolist() == [448.0, -448.0]
    x = torch.randn(64, 48, generator=torch.Generator().manual_seed(0))
    error = (round_e4m3(x, channel_scales(x)) - x).abs()
    assert (error <= x.abs() / 16 + channel_scales(x) * 2**-9).all()


def streaming(networks, chunks=2):
    frames = np.random.default_rng(0).integers(0, 256, (8, 48, 64, 3), np.uint8)
    pipeline = Pipeline(networks)
    state, text = pipeline.open(1), pipeline.text(pipeline.prompt("noon"))
    clean = []
    for _ in range(chunks):
        rendered = pipeline.render(state, frames[: pipeline.frames_wanted(state)], text)
        pipeline.finalize(state, rendered)
        clean.append(rendered.chunk.clean)
    return torch.cat(clean, dim=1)


def test_calibration_reports_every_layer():
    networks = debug_networks()
    calibration = calibrate(networks, lambda: streaming(networks))
    names = {layer.layer for layer in calibration.layers}
    assert {"blocks.0.self_attn.q", "blocks.1.ffn.2"} <= names
    assert calibration.excluded["time_embedding.0"] == "float32 by design"
    assert "blocks.0.cross_attn.k" in calibration.excluded
    every = {name for name, m in networks.dit.named_modules() if isinstance(m, torch.nn.Linear)}
    assert names | calibration.excluded.keys() == every
    assert all(0 < layer.error < 0.08 for layer in calibration.layers)


def test_rounded_layers_change_the_stream_a_little_and_only_within():
    networks = debug_networks()
    exact = streaming(networks)
    calibration = calibrate(networks, lambda: streaming(networks), exclude=["blocks.0.*"])
    assert calibration.excluded["blocks.0.ffn.0"] == "as asked"
    with rounded(networks, calibration):
        changed = streaming(networks)
    error = (changed - exact).norm() / exact.norm()
    assert 1e-4 < error < 0.1
    assert torch.equal(streaming(networks), exact)


def test_the_range_is_that_of_all_calls():
    """A layer's scale is its largest input ever / 448, whichever call that was."""
    networks, largest = debug_networks(), 0.0

    def watch(_, inputs):
        nonlocal largest
        largest = max(largest, float(inputs[0].abs().max()))

    handle = networks.dit.get_submodule("blocks.1.ffn.0").register_forward_pre_hook(watch)
    found = calibrate(networks, lambda: streaming(networks, chunks=3))
    handle.remove()
    scale = next(one.input_scale for one in found.layers if one.layer == "blocks.1.ffn.0")
    assert scale == pytest.approx(largest / 448)


def test_a_pattern_without_layers_is_refused():
    with pytest.raises(ValueError, match=r"--exclude block\.\* names no linear layer"):
        calibrate(debug_networks(), lambda: None, exclude=["block.*"])


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "row 2 is no clip"),
        ('{"id": "a", "caption": "", "split": "train"}', "row 2 is no clip .*'control'"),
        ("", "has 1 training clips with a coarse counterpart"),
    ],
)
def test_manifests_that_cannot_be_calibrated_on(row, message, tmp_path):
    good = '{"id": "x", "control": "x.mp4", "caption": "", "split": "train"}'
    file = tmp_path / "manifest.jsonl"
    file.write_text(f"{good}\n{row}\n")
    with pytest.raises(ValueError, match=message):
        coarse_clips(file, 2)


def test_a_clip_shorter_than_a_chunk_is_refused(tmp_path):
    with VideoWriter(tmp_path / "x.mp4", 16) as writer:
        for _ in range(4):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    clip = CoarseClip("x", tmp_path / "x.mp4", "noon")
    with pytest.raises(ValueError, match="has 4 frames at 16 fps, a stream's first chunk takes 5"):
        list(chunks_of(clip, DEBUG, torch.device("cpu"), 2))


def test_calibration_needs_a_stream():
    with pytest.raises(ValueError, match="never ran"):
        calibrate(debug_networks(), lambda: None)


@pytest.fixture(scope="module")
def plain_and_fp8(built, tmp_path_factory):
    """The same renderer as ONNX, as it is and with its calibrated layers in FP8."""
    from export.build import BuildRequest, build_exported
    from export.builders.targets import get_target

    networks = debug_networks()
    folder = copy_of(built, tmp_path_factory.mktemp("fp8") / "copy")
    calibration = calibrate(networks, lambda: streaming(networks), exclude=["blocks.0.*"])
    request = BuildRequest(
        get_target("onnx"),
        folder,
        "float32",
        calibration=ClipCalibration(calibration, "", {}, {}),
        quantize=True,
    )
    return folder, read_manifest(built), build_exported(networks, request, say=lambda _: None)


def test_an_engine_in_fp8_rounds_as_calibration_does(plain_and_fp8):
    """It is much nearer to PyTorch with rounded layers than rounding is to exactness."""
    folder, plain, fp8 = plain_and_fp8
    assert (plain.quantized, fp8.quantized) == ("", "fp8")
    assert fp8.calibration["calibration"]["excluded"]["blocks.0.ffn.0"] == "as asked"
    networks = debug_networks()
    exactly = verify(networks, stages_of(networks, "onnxruntime", folder), "fp8")
    for level in ("denoise 2", "denoise 8"):
        error = fp8.verified[level]["relative_error"]
        assert error < 0.5 * exactly[level]["relative_error"]
        assert plain.verified[level]["relative_error"] < 0.1 * exactly[level]["relative_error"]


def test_only_the_denoise_graph_is_built_again_for_fp8(plain_and_fp8):
    import onnx

    folder, plain, fp8 = plain_and_fp8
    changed = {
        a.graph for a, b in zip(plain.engines, fp8.engines, strict=True) if a.files != b.files
    }
    assert changed == {"denoise"}
    nodes = [node.op_type for node in onnx.load(folder / "denoise.onnx").graph.node]
    layers = fp8.calibration["calibration"]["layers"]
    assert nodes.count("QuantizeLinear") == len(layers) == 16  # 8 in each of two blocks
    assert nodes.count("DequantizeLinear") == 32


def test_a_layer_that_no_product_is_of(plain_and_fp8):
    from onnx_ir import load

    from export.precision.quantize import quantize

    model = load(plain_and_fp8[0] / "decode.onnx")
    with pytest.raises(ValueError, match=r"no product of layer blocks\.0\.ffn\.0"):
        quantize(model, {"blocks.0.ffn.0": 1.0})
