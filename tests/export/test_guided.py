"""A decoder with a guide as exported engines: the same frames, at every strength."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("onnxscript", reason="the extra `export` is not installed")
pytest.importorskip("onnxruntime", reason="the extra `export` is not installed")

from c2r.exported.manifest import read_manifest
from c2r.exported.stages import eager_stages
from c2r.models.configs import GuideForm
from export.build import BuildRequest, build_exported
from export.builders.targets import get_target
from runtime.backends import stages_of
from runtime.core import Frames
from runtime.pipeline.pipeline import Pipeline
from tests.debug_networks import guided_networks
from tests.export.test_command import psnr


@pytest.fixture(scope="module", params=["added", "unet"])
def form(request) -> GuideForm:
    return request.param


@pytest.fixture(scope="module")
def folder(form: GuideForm, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("guided")
    request = BuildRequest(get_target("onnx"), path, "float32")
    build_exported(guided_networks(form=form), request, say=lambda _: None)
    return path


def test_the_decoder_takes_a_guide_and_its_strength(folder):
    manifest = read_manifest(folder)
    shapes = {spec.name: spec.shape for spec in manifest.entry("decode").inputs}
    assert [*shapes][:3] == ["latents", "guide", "strength"]
    assert shapes["guide"] == (1, 8, 3, 96, 128)
    assert shapes["strength"] == (1,)
    assert manifest.entry("decode_first").inputs[1].shape == (1, 5, 3, 96, 128)
    assert manifest.entry("decode").outputs[0].shape == (1, 8, 3, 96, 128)
    assert manifest.verified["vae later"]["cosine"] > 0.99999


@pytest.mark.parametrize("strength", [1.0, 0.3, 0.0])
def test_a_stream_from_onnxruntime_is_eagers(folder, form, strength):
    networks, videos = guided_networks(form=form), []
    for stages in (None, stages_of(networks, "onnxruntime", folder)):
        pipeline = Pipeline(networks, stages)
        state, text = pipeline.open(5), pipeline.text(pipeline.prompt("noon"))
        draw, parts = np.random.default_rng(0), list[Frames]()
        for _ in range(6):
            size = pipeline.frames_wanted(state), 96, 128, 3
            coarse = draw.integers(0, 256, size, np.uint8)
            rendered = pipeline.render(state, coarse, text, strength)
            pipeline.finalize(state, rendered)
            parts.append(rendered.frames)
        videos.append(np.concatenate(parts))
    assert videos[0].std() > 1
    assert psnr(*videos) >= 50


def test_without_a_guide_the_frames_are_the_decoder_s(folder, form):
    networks = guided_networks(form=form)
    latents = torch.randn(1, 2, 16, *networks.preset.latent_size)
    frames, _ = stages_of(networks, "onnxruntime", folder).vae(latents, None)
    with torch.no_grad():
        expected, _ = eager_stages(networks).vae(latents, None)
    torch.testing.assert_close(frames, expected, rtol=1e-4, atol=1e-4)
