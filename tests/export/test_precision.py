"""FP8 and NVFP4, simulated: rounding, calibration on streams, error a layer."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from export.precision.calibrate import calibrate, rounded
from export.precision.formats import E2M1, channel_scales, round_e4m3, round_nvfp4
from runtime.pipeline import Pipeline
from tests.export.small import small_networks


def test_e4m3_keeps_what_it_can_hold():
    exact = torch.tensor([0.0, 1.0, -1.125, 448.0, 2**-6])
    assert torch.equal(round_e4m3(exact, 1.0), exact)
    assert round_e4m3(torch.tensor([1000.0, -1000.0]), 1.0).tolist() == [448.0, -448.0]
    x = torch.randn(64, 48, generator=torch.Generator().manual_seed(0))
    error = (round_e4m3(x, channel_scales(x)) - x).abs()
    assert (error <= x.abs() / 16 + channel_scales(x) * 2**-9).all()


def test_nvfp4_is_exact_on_its_levels_and_near_elsewhere():
    levels = torch.tensor(E2M1).repeat(2)
    assert torch.allclose(round_nvfp4(levels[None]), levels[None])
    x = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    relative = (round_nvfp4(x) - x).norm() / x.norm()
    assert 0.03 < relative < 0.15
    with pytest.raises(ValueError, match="multiple of 16"):
        round_nvfp4(torch.zeros(2, 20))


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


def test_calibration_reports_every_layer(tmp_path):
    networks = small_networks()
    found = {
        form: calibrate(networks, lambda: streaming(networks), form) for form in ("fp8", "nvfp4")
    }
    names = {layer.layer for layer in found["fp8"].layers}
    assert "blocks.0.self_attn.q" in names
    assert "blocks.1.ffn.2" in names
    assert found["fp8"].excluded["time_embedding.0"] == "float32 by design"
    assert "blocks.0.cross_attn.k" in found["fp8"].excluded
    every = {name for name, m in networks.dit.named_modules() if isinstance(m, torch.nn.Linear)}
    assert names | found["fp8"].excluded.keys() == every
    assert all(0 < layer.error < 0.08 for layer in found["fp8"].layers)
    for eight, four in zip(found["fp8"].layers, found["nvfp4"].layers, strict=True):
        assert eight.error < four.error < 0.3
    found["fp8"].write(tmp_path / "scales.json")
    assert len(json.loads((tmp_path / "scales.json").read_text())["layers"]) == len(names)


def test_rounded_layers_change_the_stream_a_little_and_only_within():
    networks = small_networks()
    exact = streaming(networks)
    calibration = calibrate(networks, lambda: streaming(networks), exclude=["blocks.0.*"])
    assert calibration.excluded["blocks.0.ffn.0"] == "as asked"
    with rounded(networks, calibration):
        changed = streaming(networks)
    error = (changed - exact).norm() / exact.norm()
    assert 1e-4 < error < 0.1
    assert torch.equal(streaming(networks), exact)


def test_calibration_needs_a_stream():
    with pytest.raises(ValueError, match="never ran"):
        calibrate(small_networks(), lambda: None)
