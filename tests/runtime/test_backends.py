"""Backends by name and by stage, against PyTorch as it is."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from c2r.engines.stages import eager_stages
from runtime.backends import choose_backends, stages_of
from runtime.backends.compiled import compiled_stages
from runtime.pipeline import Pipeline
from tests.export.small import SMALL, small_networks


def test_one_backend_or_one_a_stage():
    assert set(choose_backends("tensorrt").values()) == {"tensorrt"}
    mixed = choose_backends("vae=tensorrt, denoise=compiled")
    assert mixed == {"dino": "eager", "control": "eager", "denoise": "compiled", "vae": "tensorrt"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuda", "backends are eager"),
        ("vea=eager", "stages are dino"),
        ("vae=", "backends are"),
        ("eager,vae=compiled", "one backend, or stage=backend"),
        ("onnxruntime", "needs --engines"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ValueError, match=message):
        stages_of(small_networks(), text)


def stream(pipeline: Pipeline, chunks: int = 5) -> np.ndarray:
    frames = np.random.default_rng(0).integers(0, 256, (8 * chunks, 48, 64, 3), np.uint8)
    state, text = pipeline.open(3), pipeline.text(pipeline.prompt("noon"))
    made, done = [], 0
    for _ in range(chunks):
        count = pipeline.frames_wanted(state)
        rendered = pipeline.render(state, frames[done : done + count], text)
        pipeline.finalize(state, rendered)
        made.append(rendered.pictures)
        done += count
    return np.concatenate(made)


def test_eager_is_the_networks():
    networks = small_networks()
    stages = stages_of(networks)
    assert stages == eager_stages(networks)
    assert stages.denoise is networks.dit


def test_compiled_gives_the_same_pictures():
    torch._dynamo.reset()
    networks = small_networks()
    pipeline = Pipeline(networks, compiled_stages(networks, "aot_eager"))
    difference = stream(pipeline).astype(int) - stream(Pipeline(networks))
    assert np.abs(difference).max() <= 1


def test_stages_may_be_mixed(tmp_path):
    """DINO and VAE from onnxruntime, the rest from PyTorch; what is not used is not opened."""
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    from export.build import BuildRequest, build_engines
    from export.engines.targets import get_target

    networks = small_networks()
    request = BuildRequest(get_target("onnx"), tmp_path, "float32")
    build_engines(networks, request, say=lambda _: None)
    (tmp_path / "denoise.onnx").write_bytes(b"damaged, and not asked for")
    stages = stages_of(networks, "dino=onnxruntime,vae=onnxruntime", tmp_path)
    assert stages.denoise is networks.dit
    pipeline = Pipeline(networks, stages)
    difference = stream(pipeline).astype(int) - stream(Pipeline(networks))
    assert np.abs(difference).max() <= 1
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(""))
    frames = np.random.default_rng(1).integers(0, 256, (5, 48, 64, 3), np.uint8)
    first = pipeline.render(state, frames, text).pictures
    assert np.array_equal(first, pipeline.render(state, frames, text).pictures)
    assert first.shape == (5, SMALL.height, SMALL.width, 3)
