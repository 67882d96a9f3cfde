"""The whole chain at the debug preset: chunks against the whole clip, seeds, faults."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from c2r.models.attention import block_causal
from c2r.models.build import Networks
from c2r.models.configs import ControlConfig
from c2r.models.control import ControlInput, strength_tensor
from c2r.models.presets import get_preset
from c2r.streaming.noise import latent_noise
from c2r.weights.renderer import seeded_networks
from c2r.wire import CoarseFrame
from runtime.core import ChunkRequest, ReceivedFrame, RenderParameters
from runtime.pipeline.pipeline import Pipeline, Video
from tests.debug_networks import guided_networks

DEBUG = get_preset("debug")


@pytest.fixture(scope="module")
def networks() -> Networks:
    return seeded_networks(DEBUG, seed=1)


def coarse(frames: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (frames, 48, 64, 3), np.uint8)


def stream(pipeline: Pipeline, frames: np.ndarray, seed: int, prompt: str = "noon", **settings):
    """Render all whole chunks of `frames`."""
    state, text = pipeline.open(seed), pipeline.text(pipeline.prompt(prompt))
    parts, done = [], 0
    while done + pipeline.frames_wanted(state) <= len(frames):
        count = pipeline.frames_wanted(state)
        rendered = pipeline.render(state, frames[done : done + count], text, **settings)
        pipeline.finalize(state, rendered)
        parts.append(rendered.frames)
        done += count
    return np.concatenate(parts)


def test_streaming_equals_the_whole_clip(networks):
    """DINO, control, denoise and VAE chunk by chunk against one pass of each over everything."""
    pipeline, frames = Pipeline(networks), coarse(21)
    streamed = stream(pipeline, frames, seed=5)
    assert streamed.shape == frames.shape
    pixels = torch.from_numpy(frames).permute(0, 3, 1, 2)[None]
    assert networks.control is not None
    with torch.no_grad():
        tokens, _ = networks.control.tokens(networks.dino(pixels))
        text = pipeline.text(pipeline.prompt("noon"))
        clean = torch.zeros(1, 0, 16, *DEBUG.latent_size)
        levels = pipeline.rollout.levels
        for first in range(0, tokens.shape[1], 2):
            x = latent_noise([5], first, 2, 0, (16, *DEBUG.latent_size))
            strength = strength_tensor(1.0, "cpu")
            so_far = tokens[:, : first + 2]
            control = ControlInput(networks.control, so_far, DEBUG.grid, strength)
            for step, level in enumerate(levels):
                timestep = torch.tensor([[0.0] * first + [1000 * level] * 2])
                whole, mask = torch.cat([clean, x], dim=1), block_causal(first + 2, 2)
                velocity = networks.dit(whole, timestep, text, control=control, mask=mask)
                x0 = x - level * velocity[:, first:]
                if step + 1 < len(levels):
                    fresh = latent_noise([5], first, 2, step + 1, (16, *DEBUG.latent_size))
                    x = (1 - levels[step + 1]) * x0 + levels[step + 1] * fresh
            clean = torch.cat([clean, x0], dim=1)
        decoded = networks.vae.decode(clean)[0]
    expected = (decoded * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    difference = np.abs(streamed.astype(int) - expected.astype(int))
    assert difference.max() <= 1, "beyond the rounding of 8 bits"
    assert expected.std() > 1, "flat frames would show nothing"


def test_guided_frames_have_the_output_size():
    """DINO sees the means of the coarse pixels, the decoder the pixels themselves."""
    networks = guided_networks()
    pipeline = Pipeline(networks)
    text = pipeline.text(pipeline.prompt("noon"))
    small = np.random.default_rng(4).integers(0, 256, (5, 48, 64, 3), np.uint8)
    large = small.repeat(2, axis=1).repeat(2, axis=2)

    def first_chunk(frames, strength=1.0):
        return pipeline.render(pipeline.open(1), frames, text, strength)

    one = first_chunk(large)
    assert one.frames.shape == (5, 96, 128, 3)
    assert np.array_equal(one.frames, first_chunk(small).frames)
    grey = np.full_like(large, 128)
    pattern = grey.copy()
    pattern[:, ::2, ::2] += 40
    pattern[:, 1::2, 1::2] -= 40
    flat, textured = first_chunk(grey), first_chunk(pattern)
    assert torch.equal(flat.chunk.clean, textured.chunk.clean), "DINO saw the same"
    assert not np.array_equal(flat.frames, textured.frames)
    off = first_chunk(large, 0.0)
    with torch.no_grad():
        plain, _ = networks.vae.decode_chunk(off.chunk.clean, None)
    assert np.array_equal(off.frames, pipeline.download(plain))


def test_a_video_answers_at_the_size_of_its_frames():
    video = Video(Pipeline(guided_networks()), RenderParameters())
    large = coarse(5).repeat(2, axis=1).repeat(2, axis=2)
    answers = []
    for frames in (large, coarse(5)):
        received = (ReceivedFrame(CoarseFrame(i, i, rgb), 0.0) for i, rgb in enumerate(frames))
        answers.append(video.render(ChunkRequest(tuple(received), 5, True, False)).frames)
    assert answers[0].shape == (5, 96, 128, 3)
    means = answers[0].reshape(5, 48, 2, 64, 2, 3).mean(axis=(2, 4))
    assert np.array_equal(answers[1], np.round(means))


def test_seed_prompt_and_control_matter(networks):
    pipeline, frames = Pipeline(networks), coarse(13)
    base = stream(pipeline, frames, seed=5)
    assert np.array_equal(base, stream(pipeline, frames, seed=5))
    assert not np.array_equal(base, stream(pipeline, frames, seed=6))
    assert not np.array_equal(base, stream(pipeline, frames, seed=5, prompt="night"))
    assert not np.array_equal(base, stream(pipeline, coarse(13, seed=9), seed=5))
    without = stream(pipeline, frames, seed=5, strength=0.0)
    assert not np.array_equal(base, without)
    assert np.array_equal(without, stream(pipeline, coarse(13, seed=9), seed=5, strength=0.0))


def test_frames_of_any_size_are_resized(networks):
    pipeline = Pipeline(networks)
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(""))
    large = np.random.default_rng(0).integers(0, 256, (5, 100, 130, 3), np.uint8)
    assert pipeline.render(state, large, text).frames.shape == (5, 48, 64, 3)


def test_reset_starts_a_first_chunk(networks):
    pipeline = Pipeline(networks)
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(""))
    assert pipeline.frames_wanted(state) == 5
    pipeline.finalize(state, pipeline.render(state, coarse(5), text))
    assert pipeline.frames_wanted(state) == 8
    state.reset()
    assert pipeline.frames_wanted(state) == 5


@pytest.mark.parametrize(
    ("frames", "strength", "message"),
    [
        (coarse(4), 1.0, "this chunk takes"),
        (coarse(5)[..., :1], 1.0, "this chunk takes"),
        (coarse(5), -1.0, "strength"),
    ],
)
def test_bad_input_changes_nothing(networks, frames, strength, message):
    pipeline = Pipeline(networks)
    state, text = pipeline.open(3), pipeline.text(pipeline.prompt(""))
    with pytest.raises(ValueError, match=message):
        pipeline.render(state, frames, text, strength)
    good = pipeline.render(state, coarse(5), text).frames
    assert np.array_equal(good, stream(pipeline, coarse(5), 3, prompt=""))


def test_render_again_gives_the_same(networks):
    pipeline = Pipeline(networks)
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(""))
    pipeline.finalize(state, pipeline.render(state, coarse(5), text))
    first = pipeline.render(state, coarse(8), text)
    again = pipeline.render(state, coarse(8), text)
    assert np.array_equal(first.frames, again.frames)


def test_without_control_dino_does_not_run():
    preset = replace(DEBUG, control=ControlConfig(kind="none"))
    pipeline = Pipeline(seeded_networks(preset, seed=1))
    calls = []
    pipeline.networks.dino.register_forward_hook(lambda *_: calls.append(1))
    rendered = stream(pipeline, coarse(5), seed=1)
    assert np.array_equal(rendered, stream(pipeline, coarse(5, seed=9), seed=1))
    assert calls == []


def test_every_stage_is_timed(networks):
    pipeline = Pipeline(networks)
    state, text = pipeline.open(0), pipeline.text(pipeline.prompt(""))
    rendered = pipeline.render(state, coarse(5), text)
    stages = {"upload", "dino", "control", "denoise", "vae", "download"}
    assert rendered.stages_ms.keys() == stages
    assert all(value >= 0 for value in rendered.stages_ms.values())
    assert pipeline.finalize(state, rendered).ms > 0


def test_controlnet_by_configuration():
    preset = replace(DEBUG, control=ControlConfig(kind="controlnet", hidden=32, inject="strided:2"))
    pipeline = Pipeline(seeded_networks(preset, seed=2))
    assert pipeline.rollout.cache_spec().layers == 5
    rendered = stream(pipeline, coarse(13), seed=1)
    other = stream(pipeline, coarse(13, seed=8), seed=1)
    assert not np.array_equal(rendered, other)


def test_seeded_networks_are_the_same_again(networks):
    again = seeded_networks(DEBUG, seed=1)
    expected = networks.dit.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in again.dit.state_dict().items())
