"""Backends by name and by stage, compared with eager PyTorch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch._dynamo.testing import CompileCounter

from c2r.exported.stages import eager_stages
from c2r.models.configs import StreamConfig
from runtime.backends import choose_backends, pipeline_of, stages_of
from runtime.backends.compiled import CompiledBlocks, compiled_stages
from runtime.graphs.graphed_pipeline import GraphedPipeline
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import DEBUG, debug_networks


def test_one_backend_or_one_a_stage():
    assert set(choose_backends("tensorrt").values()) == {"tensorrt"}
    mixed = choose_backends("vae=tensorrt, denoise=compiled")
    assert mixed == {"dino": "eager", "control": "eager", "denoise": "compiled", "vae": "tensorrt"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cuda", "backends are auto, eager"),
        ("vea=eager", "stages are dino"),
        ("vae=", "backends are"),
        ("eager,vae=compiled", "one backend, or stage=backend"),
        ("onnxruntime", "needs --engines"),
    ],
)
def test_mistakes(text, message):
    with pytest.raises(ValueError, match=message):
        stages_of(debug_networks(), text)


def stream(pipeline: Pipeline, chunks: int = 5) -> np.ndarray:
    frames = np.random.default_rng(0).integers(0, 256, (8 * chunks, 48, 64, 3), np.uint8)
    state, text = pipeline.open(3), pipeline.text(pipeline.prompt("noon"))
    made, done = [], 0
    for _ in range(chunks):
        count = pipeline.frames_wanted(state)
        rendered = pipeline.render(state, frames[done : done + count], text)
        pipeline.finalize(state, rendered)
        made.append(rendered.frames)
        done += count
    return np.concatenate(made)


def test_eager_is_the_networks():
    networks = debug_networks()
    stages = stages_of(networks)
    assert stages == eager_stages(networks)
    assert stages.denoise is networks.dit


def test_compiled_gives_the_same_pictures():
    torch._dynamo.reset()
    networks = debug_networks()
    pipeline = Pipeline(networks, compiled_stages(networks, "aot_eager"))
    difference = stream(pipeline).astype(int) - stream(Pipeline(networks))
    assert np.abs(difference).max() <= 1


def test_all_blocks_and_fill_levels_share_a_few_graphs():
    """Else a 30-layer DiT would be compiled for minutes, and dynamo give up on the ninth graph."""
    torch._dynamo.reset()
    counter = CompileCounter()
    stream_config = StreamConfig(chunk=1, window=6, sink=1, timesteps=(1000.0,))
    networks = debug_networks(stream=stream_config)
    stages = replace(eager_stages(networks), denoise=CompiledBlocks(networks.dit, counter))
    compiled = stream(Pipeline(networks, stages), chunks=9)
    difference = compiled.astype(int) - stream(Pipeline(networks), chunks=9)
    assert np.abs(difference).max() <= 1
    assert 1 <= counter.frame_count <= 6, "less than a graph for each of 3 layers x 6 levels"
    before = counter.frame_count
    assert np.array_equal(stream(GraphedPipeline(networks, stages), chunks=9), compiled)
    assert counter.frame_count == before, "captured chunks use the graphs that are there"
    assert networks.dit.blocks[0]._compiled_call_impl is None, "the networks themselves stay eager"


def test_graphs_need_a_whole_chunk_and_cuda():
    with pytest.raises(ValueError, match="hold a whole chunk"):
        pipeline_of(debug_networks(), "vae=graphs")
    with pytest.raises(ValueError, match="needs CUDA"):
        pipeline_of(debug_networks(), "graphs")
    assert type(pipeline_of(debug_networks(), "compiled")) is Pipeline


def test_stages_may_be_mixed(tmp_path):
    """DINO and VAE from onnxruntime, the rest from PyTorch; what is not used is not opened."""
    pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
    pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")
    from export.build import BuildRequest, build_exported
    from export.builders.targets import get_target

    networks = debug_networks()
    request = BuildRequest(get_target("onnx"), tmp_path, "float32")
    build_exported(networks, request, say=lambda _: None)
    (tmp_path / "denoise.onnx").write_bytes(b"damaged, and not asked for")
    stages = stages_of(networks, "dino=onnxruntime,vae=onnxruntime", tmp_path)
    assert stages.denoise is networks.dit
    pipeline = Pipeline(networks, stages)
    difference = stream(pipeline).astype(int) - stream(Pipeline(networks))
    assert np.abs(difference).max() <= 1
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(""))
    frames = np.random.default_rng(1).integers(0, 256, (5, 48, 64, 3), np.uint8)
    first = pipeline.render(state, frames, text).frames
    assert np.array_equal(first, pipeline.render(state, frames, text).frames)
    assert first.shape == (5, DEBUG.height, DEBUG.width, 3)
