"""Counts against the published table, and the DiT's formula against the module as traced."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest
import torch

from c2r.__main__ import run
from c2r.models import describe as describe_module
from c2r.models.build import build_control, build_dit
from c2r.models.configs import ControlConfig, StreamConfig
from c2r.models.control import ControlInput
from c2r.models.costs import pass_cost
from c2r.models.describe import (
    control_cost,
    cost,
    count_parameters,
    describe,
    traced_operations,
)
from c2r.models.presets import PRESETS, get_preset
from c2r.streaming.kv_cache import CacheSpec, KVCache
from tests.small_networks import guided


@pytest.fixture(autouse=True, scope="module")
def traced_once():
    """Tracing takes seconds and does not depend on window or steps: once per preset."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(describe_module, "_trace_networks", cache(describe_module._trace_networks))
        yield


@pytest.mark.parametrize(
    ("window", "tflop", "share", "fps"),
    [(6, 20.2, 0.40, 94), (9, 24.3, 0.50, 78), (12, 28.3, 0.57, 67), (21, 40.4, 0.70, 47)],
)
def test_published_cost_of_a_chunk(window, tflop, share, fps):
    found = cost(get_preset("wan-1.3b"), window=window)
    assert found.tokens == 4680
    assert found.dit_pass.total / 1e12 == pytest.approx(tflop, rel=0.03)
    assert found.dit_pass.attention / found.dit_pass.total == pytest.approx(share, abs=0.01)
    assert found.fps_bound() == pytest.approx(fps, rel=0.03)


@pytest.mark.parametrize(("window", "fps"), [(6, 156), (9, 130), (21, 78)])
def test_published_bound_with_two_steps(window, fps):
    found = cost(get_preset("wan-1.3b"), window=window, steps=2)
    assert found.fps_bound() == pytest.approx(fps, rel=0.03)


@pytest.mark.parametrize(("window", "gib"), [(9, 2.4), (12, 3.2), (21, 5.6)])
def test_published_cache_size(window, gib):
    found = cost(get_preset("wan-1.3b"), window=window)
    assert found.kv_bytes / 2**30 == pytest.approx(gib, rel=0.03)


def test_published_sizes_of_the_other_networks():
    small, large = cost(get_preset("wan-1.3b")), cost(get_preset("wan-14b"))
    assert small.operations["DINO"] / 1e12 == pytest.approx(4.27, rel=0.03)
    published, saved = 1.63, 0.05  # time grows before size does
    assert small.operations["VAE decode"] / 1e12 == pytest.approx(published - saved, rel=0.02)
    assert large.operations["VAE decode"] / 1e12 == pytest.approx(40.65, rel=0.03)
    assert small.parameters["control"] == pytest.approx(9.4e6, rel=0.03)
    assert large.parameters["control"] == pytest.approx(44e6, rel=0.03)
    assert large.parameters["DiT"] == 14_288_491_584


@pytest.mark.parametrize("name", ["tiny", "wan-1.3b"])
def test_formula_equals_what_the_module_does(name):
    """One cached pass of the real module on meta, window full, as PyTorch counts it."""
    preset = get_preset(name)
    stream, dit_config = preset.stream, preset.dit
    with torch.device("meta"):
        dit = build_dit(preset)
        cache = KVCache(CacheSpec.of(dit_config, stream, preset.tokens_per_latent), "meta")
        cache.length = stream.window - stream.chunk
        x = torch.empty(1, stream.chunk, dit_config.channels, *preset.latent_size)
        timestep = torch.empty(1)
        text = dit.text_kv(torch.empty(1, dit_config.text_len, dit_config.text_dim))
        found = traced_operations(lambda: dit(x, timestep, text, cache=cache))
    tokens = preset.tokens_per_latent
    formula = pass_cost(dit_config, stream.chunk * tokens, stream.window * tokens).total
    assert formula == pytest.approx(found, rel=0.01)


def test_parameters_of_a_module():
    model = build_dit(get_preset("debug"))
    assert count_parameters(model) == sum(value.numel() for value in model.state_dict().values())


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_the_text_names_what_matters(name):
    text = describe(get_preset(name))
    for word in ("DiT parameters", "tokens per latent", "K/V cache", "TFLOP", "whole chunk"):
        assert word in text


def test_the_command(capsys):
    assert run(["describe", "--preset", "tiny", "--window", "6", "--stream.chunk", "1"]) == 0
    assert "window 6 latents" in capsys.readouterr().out
    assert run(["describe", "--preset", "huge"]) == 2
    assert (
        "'huge' is unknown; choose from debug, tiny, wan-1.3b, wan-14b" in capsys.readouterr().err
    )
    assert run(["describe", "--preset", "tiny", "--window", "2"]) == 2
    assert "shorter than a chunk" in capsys.readouterr().err
    assert run(["paint"]) == 2
    assert "unknown command 'paint'" in capsys.readouterr().err


def test_presets_are_whole():
    tiny = get_preset("tiny")
    assert tiny.grid == (9, 16)
    assert tiny.chunk_frames(first=True) == 9
    assert tiny.chunk_frames(first=False) == 12
    for preset in PRESETS.values():
        assert preset.latent_size == (preset.grid[0] * 2, preset.grid[1] * 2)
    with pytest.raises(ValueError, match="timesteps is empty"):
        StreamConfig(timesteps=())
    with pytest.raises(ValueError, match="nearest that is: 256x144"):
        replace(tiny, width=250, height=150)


@pytest.mark.parametrize(
    ("inject", "every_pass", "extra"),
    [
        ("first:8", True, 0.27),
        ("first:15", True, 0.51),
        ("first:8", False, 0.05),
        ("first:15", False, 0.10),
    ],
)
def test_published_cost_of_a_controlnet(inject, every_pass, extra):
    plain = get_preset("wan-1.3b")
    control = ControlConfig("controlnet", inject=inject, every_pass=every_pass)
    found, base = cost(replace(plain, control=control)), cost(plain)
    assert base.fps_bound() / found.fps_bound() - 1 == pytest.approx(extra, abs=0.02)
    clones = int(inject.partition(":")[2])
    spec = CacheSpec.of(
        plain.dit,
        plain.stream,
        plain.tokens_per_latent,
        control_layers=clones,
        dtype=torch.bfloat16,
    )
    assert found.kv_bytes == spec.nbytes


def test_formula_of_clones_equals_what_they_do():
    preset = get_preset("tiny")
    config = ControlConfig("controlnet", hidden=768, inject="first:3", every_pass=False)
    preset = replace(preset, control=config)
    with torch.device("meta"):
        dit, network = build_dit(preset), build_control(preset)
        assert network is not None
        text = dit.text_kv(torch.empty(1, 256, 128), network)
        tokens = torch.empty(1, 3, 144, 256)
        control = ControlInput(network, tokens, preset.grid, torch.empty(1))
        found = traced_operations(lambda: dit.prepare_control(control, text))
    formula = control_cost(preset, 432, 432).per_chunk.total
    assert found == pytest.approx(formula, rel=0.02)


def test_a_guided_decoder_is_counted():
    """Twice the size, and more operations than the decoder alone; nothing else changes."""
    preset = guided(get_preset("tiny"))
    plain, with_guide = cost(get_preset("tiny")), cost(preset)
    assert describe(preset).startswith("tiny: 512x288 at")
    changed = {
        name
        for name, operations in with_guide.operations.items()
        if operations != plain.operations[name]
    }
    assert changed == {"VAE decode"}
    assert with_guide.operations["VAE decode"] > plain.operations["VAE decode"]
