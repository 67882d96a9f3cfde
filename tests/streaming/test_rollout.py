"""The rollout: against passes without a cache, endless, seeded, traceable."""

from __future__ import annotations

import copy
import gc
import itertools
from dataclasses import replace

import pytest
import torch

from c2r.models.attention import block_causal
from c2r.models.configs import StreamConfig
from c2r.models.control import ControlInput, ControlNetwork
from c2r.models.dit import DiT
from c2r.models.precision import cast
from c2r.streaming import rollout as rollout_module
from c2r.streaming.noise import latent_noise
from c2r.streaming.rollout import Chunk, Rollout, StreamState, denoise
from tests.small_networks import DINO_DIM, DIT, GRID, make_adapter, make_control, make_controlnet

STREAM = StreamConfig(chunk=2, window=24, sink=2, timesteps=(1000.0, 500.0))
SHAPE = (16, 6, 8)


def make_rollout(dit: DiT, config: StreamConfig = STREAM, control_layers: int = 0) -> Rollout:
    return Rollout(dit, config, (6, 8), control_layers=control_layers)


def slices(control: ControlInput | None, chunk: int):
    """The control of each chunk, or None for every one."""
    if control is None:
        return itertools.repeat(None)
    return (replace(control, tokens=part) for part in control.tokens.split(chunk, dim=1))


def run(rollout: Rollout, state: StreamState, text, controls, chunks: int) -> torch.Tensor:
    made = []
    for _, control in zip(range(chunks), controls, strict=False):
        chunk = rollout.generate(state, text, control)
        rollout.finalize(state, chunk)
        made.append(chunk.clean)
    return torch.cat(made, dim=1)


def without_cache(dit: DiT, config: StreamConfig, seed: int, text, control, chunks: int):
    """The same video by passes over everything so far under the block-causal mask."""
    levels, clean = rollout_module.few_step_levels(config.timesteps, config.shift), None
    for block in range(chunks):
        first, count = block * config.chunk, config.chunk
        x = latent_noise([seed], first, count, 0, SHAPE)
        so_far = 0 if clean is None else clean.shape[1]
        part = None
        if control is not None:
            part = replace(control, tokens=control.tokens[:, : first + count])
        for step, level in enumerate(levels):
            whole = x if clean is None else torch.cat([clean, x], dim=1)
            timestep = torch.tensor([[0.0] * so_far + [1000 * level] * count])
            mask = block_causal(so_far + count, count)
            velocity = dit(whole, timestep, text, control=part, mask=mask)[:, so_far:]
            x0 = x - level * velocity
            if step + 1 < len(levels):
                fresh = latent_noise([seed], first, count, step + 1, SHAPE)
                x = (1 - levels[step + 1]) * x0 + levels[step + 1] * fresh
        clean = x0 if clean is None else torch.cat([clean, x0], dim=1)
    return clean


@pytest.mark.parametrize("kind", ["none", "adapter", "controlnet", "controlnet-once"])
def test_equals_the_block_causal_forward(dit, kind):
    network: ControlNetwork | None = None
    if kind == "adapter":
        network = make_adapter()
    elif kind != "none":
        network = make_controlnet(dit, "strided:2", every_pass=kind == "controlnet")
    layers = 0 if network is None else len(network.blocks)
    text = dit.text_kv(torch.randn(1, 16, 32), network)
    control = None
    if network is not None:
        control = make_control(network, torch.randn(1, 93, 12, DINO_DIM))
    chunks = 12
    rollout = make_rollout(dit, control_layers=layers)
    got = run(rollout, rollout.open([7]), text, slices(control, 2), chunks)
    expected = without_cache(dit, STREAM, 7, text, control, chunks)
    assert got.shape == (1, 24, *SHAPE)
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_five_hundred_chunks_take_no_more(dit, monkeypatch):
    config = StreamConfig(chunk=1, window=4, sink=1, timesteps=(1000.0,))
    rollout, text = make_rollout(dit, config), dit.text_kv(torch.randn(1, 16, 32))
    places = []
    plain = torch.arange

    def spy(*args, **kwargs):
        if len(args) == 2:
            places.append(args[1])
        return plain(*args, **kwargs)

    monkeypatch.setattr("c2r.models.dit.torch.arange", spy)
    state = rollout.open([1])
    address = state.cache.keys.data_ptr(), state.cache.values.data_ptr()
    run(rollout, state, text, itertools.repeat(None), 20)
    before = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
    last = None
    for _ in range(480):
        last = rollout.generate(state, text)
        rollout.finalize(state, last)
    assert last is not None
    assert last.clean.isfinite().all()
    del last
    after = sum(issubclass(type(thing), torch.Tensor) for thing in gc.get_objects())
    assert after <= before
    assert (state.cache.keys.data_ptr(), state.cache.values.data_ptr()) == address
    assert state.cache.length <= 4
    assert state.latents == 500
    assert places
    assert max(places) <= 4, "a position beyond the window"


def test_seeds_make_videos(dit):
    rollout, text = make_rollout(dit), dit.text_kv(torch.randn(1, 16, 32))
    free = itertools.repeat(None)
    one = run(rollout, rollout.open([3]), text, free, 3)
    assert torch.equal(one, run(rollout, rollout.open([3]), text, free, 3))
    both = run(rollout, rollout.open([3, 4]), text, free, 3)
    torch.testing.assert_close(both[:1], one, atol=1e-5, rtol=1e-4)
    assert (both[1:] - one).abs().max() > 0.1


def test_noise_does_not_depend_on_cuts():
    whole = latent_noise([11, 12], 0, 7, 2, (4, 3, 5))
    parts = [
        latent_noise([11, 12], first, n, 2, (4, 3, 5)) for first, n in ((0, 1), (1, 4), (5, 2))
    ]
    assert torch.equal(torch.cat(parts, dim=1), whole)
    assert not torch.equal(whole, latent_noise([11, 12], 0, 7, 1, (4, 3, 5)))
    assert whole.mean().abs() < 0.1
    assert whole.std() == pytest.approx(1, abs=0.1)
    assert whole.flatten(2).unbind(1)[0].ne(whole.flatten(2).unbind(1)[1]).any()


def test_any_whole_number_is_a_seed():
    shape = (1, 2, 2)
    noises = [latent_noise([seed], 0, 1, 0, shape) for seed in (-1, 2**64 - 1, 2**63, 0)]
    assert torch.equal(noises[0], noises[1]), "seeds are taken by their 64 bits"
    assert not torch.equal(noises[2], noises[3])


def test_generate_again_gives_the_same_and_order_is_kept(dit):
    rollout, text = make_rollout(dit), dit.text_kv(torch.randn(1, 16, 32))
    state = rollout.open([3])
    chunk = rollout.generate(state, text)
    assert torch.equal(rollout.generate(state, text).clean, chunk.clean)
    rollout.finalize(state, chunk)
    with pytest.raises(ValueError, match="finalize every chunk once"):
        rollout.finalize(state, chunk)


def test_reset_forgets_but_does_not_repeat(dit):
    rollout, text = make_rollout(dit), dit.text_kv(torch.randn(1, 16, 32))
    state = rollout.open([3])
    first = run(rollout, state, text, itertools.repeat(None), 2)
    address = state.cache.keys.data_ptr()
    state.reset()
    assert state.cache.length == 0
    assert state.cache.keys.data_ptr() == address
    second = run(rollout, state, text, itertools.repeat(None), 2)
    assert (second - first).abs().max() > 0.1


def test_first_chunk_may_take_more_steps(dit):
    config = replace(STREAM, timesteps=(1000.0,), first_timesteps=(1000.0, 750.0, 500.0))
    rollout = make_rollout(dit, config)
    state, text = rollout.open([3]), dit.text_kv(torch.randn(1, 16, 32))
    assert len(rollout.levels_of(state)) == 3
    run(rollout, state, text, itertools.repeat(None), 1)
    assert len(rollout.levels_of(state)) == 1


def test_context_noise_reaches_the_cache(dit):
    text, free = dit.text_kv(torch.randn(1, 16, 32)), itertools.repeat(None)
    videos = []
    for noise in (0.0, 100.0):
        rollout = make_rollout(dit, replace(STREAM, context_noise=noise))
        videos.append(run(rollout, rollout.open([3]), text, free, 2))
    torch.testing.assert_close(videos[0][:, :2], videos[1][:, :2])
    assert (videos[0][:, 2:] - videos[1][:, 2:]).abs().max() > 1e-4


def test_context_noise_is_fresh_noise_at_its_level(dit):
    """The keys that stay are those of an explicit pass over 0.9 x_0 + 0.1 e, with fresh e."""
    text, rollout = (
        dit.text_kv(torch.randn(1, 16, 32)),
        make_rollout(dit, replace(STREAM, context_noise=100.0)),
    )
    state = rollout.open([3])
    chunk = rollout.generate(state, text)
    rollout.finalize(state, chunk)
    kept = state.cache.keys[:, :, :24].clone()
    fresh = latent_noise([3], 0, 2, len(rollout.levels), SHAPE)
    again = rollout.open([3])
    with torch.no_grad():
        dit(0.9 * chunk.clean + 0.1 * fresh, torch.tensor([100.0]), text, cache=again.cache)
    torch.testing.assert_close(again.cache.keys[:, :, :24], kept)


def test_half_precision_stays_close_after_eviction(dit):
    """bfloat16 networks and cache, keys moved many times, against float32."""
    config = StreamConfig(chunk=1, window=6, sink=1, timesteps=(1000.0, 500.0))
    text = torch.randn(1, 16, 32)
    full = make_rollout(dit, config)
    exact = run(full, full.open([7]), dit.text_kv(text), itertools.repeat(None), 16)
    half_dit = cast(copy.deepcopy(dit), torch.bfloat16)
    half = make_rollout(half_dit, config)
    state = half.open([7])
    assert state.cache.keys.dtype == torch.bfloat16
    got = run(half, state, half_dit.text_kv(text), itertools.repeat(None), 16)
    assert (got[:, -4:] - exact[:, -4:]).norm() / exact[:, -4:].norm() < 0.1


def test_trained_clones_roll_out_as_they_serve(dit):
    """ControlNet once per chunk, with gradients on: finalize must still write the clones' keys."""
    network = make_controlnet(dit, "strided:2", every_pass=False)
    text = dit.text_kv(torch.randn(1, 16, 32), network)
    control = make_control(network, torch.randn(1, 21, 12, DINO_DIM))
    rollout = make_rollout(dit, control_layers=2)
    served = run(rollout, rollout.open([3]), text, slices(control, 2), 3)
    network.requires_grad_(True)
    state, made = rollout.open([3]), []
    for _, part in zip(range(3), slices(control, 2), strict=False):
        state.cache.make_room(2)
        noise, levels = rollout.noise(state, 2), rollout.levels_of(state)
        ready = dit.prepare_control(part, text, cache=state.cache)
        clean = denoise(dit, noise, levels, text, control=ready, cache=state.cache)
        assert clean.requires_grad
        chunk = Chunk(clean.detach(), state.latents, text, ready)
        rollout.finalize(state, chunk)
        made.append(chunk.clean)
    torch.testing.assert_close(torch.cat(made, dim=1), served, atol=1e-4, rtol=1e-3)


DYNAMO_LIMIT = 8
"""Graphs per function by default; code that trains raises it for its process."""


def test_a_graph_for_every_fill_level():
    """A long window of short chunks needs more graphs than dynamo allows by default."""
    config = StreamConfig(chunk=1, window=10, sink=1, timesteps=(1000.0,))
    assert config.window > DYNAMO_LIMIT
    dit = DiT(replace(DIT, layers=1)).requires_grad_(False)
    rollout, text = make_rollout(dit, config), dit.text_kv(torch.randn(1, 16, 32))
    state = rollout.open([1])
    torch._dynamo.reset()
    with torch._dynamo.config.patch(recompile_limit=config.window + 2):
        traced = torch.compile(denoise, fullgraph=True, dynamic=False, backend="eager")
        for _ in range(12):
            state.cache.make_room(1)
            noise, levels = rollout.noise(state, 1), rollout.levels_of(state)
            with torch.no_grad():
                traced(dit, noise, levels, text, control=None, cache=state.cache)
            rollout.finalize(state, rollout.generate(state, text))
    assert state.cache.length == 10


@pytest.mark.parametrize("kind", ["adapter", "controlnet", "controlnet-once"])
def test_denoise_of_a_chunk_is_one_graph(dit, kind):
    """No host sync, no .item(), no data-dependent shape: fullgraph tracing would refuse them."""
    network = (
        make_adapter() if kind == "adapter" else make_controlnet(dit, every_pass=kind[-1] == "t")
    )
    text = dit.text_kv(torch.randn(1, 16, 32), network)
    rollout = make_rollout(dit, control_layers=len(network.blocks))
    state = rollout.open([3])
    torch._dynamo.reset()
    traced = torch.compile(denoise, fullgraph=True, dynamic=False, backend="eager")
    for _ in range(2):
        control = make_control(network, torch.randn(1, 5, 12, DINO_DIM))
        state.cache.make_room(2)
        with torch.no_grad():
            control = dit.prepare_control(control, text, cache=state.cache)
        noise, levels = rollout.noise(state, 2), rollout.levels_of(state)
        arguments = (dit, noise, levels, text)
        with torch.no_grad():
            expected = denoise(*arguments, control=control, cache=state.cache)
            got = traced(*arguments, control=control, cache=state.cache)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
        chunk = rollout.generate(state, text, control)
        rollout.finalize(state, chunk)


def test_traced_cache_writes_are_kept(dit):
    """Through AOT autograd, which rewrites in-place writes: the cache must still receive them."""
    text, rollout = dit.text_kv(torch.randn(1, 16, 32)), make_rollout(dit)
    state = rollout.open([3])
    noise, levels = rollout.noise(state, 2), rollout.levels_of(state)
    with torch.no_grad():
        expected = denoise(dit, noise, levels, text, control=None, cache=state.cache)
    keys = state.cache.keys.clone()
    state.cache.keys.zero_()
    torch._dynamo.reset()
    traced = torch.compile(denoise, fullgraph=True, dynamic=False, backend="aot_eager")
    with torch.no_grad():
        got = traced(dit, noise, levels, text, control=None, cache=state.cache)
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(state.cache.keys, keys, atol=1e-5, rtol=1e-4)
    assert keys.abs().max() > 0


def test_gradient_only_at_the_exit_step(dit):
    dit.requires_grad_(True)
    rollout = make_rollout(dit)
    state = rollout.open([3])
    noise, levels = rollout.noise(state, 2), rollout.levels_of(state)
    embeddings = torch.randn(1, 16, 32)

    def gradient() -> torch.Tensor:
        weight = dit.blocks[1].ffn[0].weight
        assert weight.grad is not None
        taken = weight.grad.clone()
        dit.zero_grad()
        return taken

    text = dit.text_kv(embeddings)
    clean = denoise(dit, noise, levels, text, control=None, cache=state.cache, exit_step=1)
    clean.square().mean().backward()
    got = gradient()
    with torch.no_grad():
        velocity = dit(noise[0], torch.tensor([1000.0]), dit.text_kv(embeddings), cache=state.cache)
        x = (1 - levels[1]) * (noise[0] - velocity) + levels[1] * noise[1]
    velocity = dit(x, torch.tensor([1000 * levels[1]]), dit.text_kv(embeddings), cache=state.cache)
    (x - levels[1] * velocity).square().mean().backward()
    torch.testing.assert_close(got, gradient())
    early = denoise(
        dit, noise, levels, dit.text_kv(embeddings), control=None, cache=state.cache, exit_step=0
    )
    assert (early - clean).abs().max() > 1e-3


def test_grid_of_a_latent(dit):
    assert make_rollout(dit).grid == GRID
    assert make_rollout(dit).cache_spec(2).batch == 2
    assert make_rollout(dit, control_layers=2).cache_spec().layers == DIT.layers + 2
