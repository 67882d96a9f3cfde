"""The DiT: timesteps, masks, text, checkpointing."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields, replace

import pytest
import torch

from c2r.kernels.fused_ops import REFERENCE, FusedOps
from c2r.models.attention import block_causal, teacher_forcing
from c2r.models.configs import StreamConfig
from c2r.models.dit import DiT, sinusoid
from c2r.streaming.kv_cache import CacheSpec, KVCache
from tests.small_networks import DINO_DIM, DIT, make_adapter, make_control, make_dit


def clip(latents: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, latents, 16, 6, 8)


def prompt(dit: DiT, batch: int = 1):
    return dit.text_kv(torch.randn(batch, DIT.text_len, DIT.text_dim))


def test_one_timestep_a_sample_is_the_same_one_a_latent(dit):
    x, text = clip(3, 2), prompt(dit, 2)
    per_sample = torch.tensor([900.0, 20.0])
    whole = dit(x, per_sample, text)
    by_latent = dit(x, per_sample[:, None].expand(2, 3), text)
    torch.testing.assert_close(whole, by_latent)
    mixed = dit(x, torch.tensor([[900.0, 20.0, 500.0], [20.0, 20.0, 20.0]]), text)
    assert (mixed[0] - whole[0]).abs().max() > 1e-3
    torch.testing.assert_close(mixed[1], whole[1])


def test_sinusoid_against_float64():
    timestep = torch.tensor([0.0, 1.0, 625.0, 1000.0])
    angle = timestep.double()[:, None] / 10000.0 ** (torch.arange(128).double() / 128)
    expected = torch.cat([angle.cos(), angle.sin()], dim=1)
    assert (sinusoid(timestep, 256).double() - expected).abs().max() < 2e-4


def test_text_is_computed_once_and_shared_by_a_batch(dit):
    x, timestep = clip(2, 3), torch.tensor([100.0, 200.0, 300.0])
    embeddings = torch.randn(1, DIT.text_len, DIT.text_dim)
    one = dit(x, timestep, dit.text_kv(embeddings))
    many = dit(x, timestep, dit.text_kv(embeddings.expand(3, -1, -1)))
    torch.testing.assert_close(one, many)


def test_block_causal_mask_hides_the_future(dit):
    x, timestep, text = clip(6), torch.tensor([500.0]), prompt(dit)
    mask = block_causal(6, 2)
    before = dit(x, timestep, text, mask=mask)
    changed = x.clone()
    changed[:, 4:] += 1
    after = dit(changed, timestep, text, mask=mask)
    torch.testing.assert_close(before[:, :4], after[:, :4])
    assert (before[:, 4:] - after[:, 4:]).abs().max() > 1e-3
    free = dit(x, timestep, text)
    assert (free - before).abs().max() > 1e-3, "the mask made no difference"


def test_teacher_forcing_equals_each_block_after_its_clean_past(dit):
    """One pass over clean|noisy gives what a separate pass for every block gives."""
    clean, noisy, chunk, adapter = clip(6), clip(6), 2, make_adapter()
    text = prompt(dit)
    control = make_control(adapter, torch.randn(1, 21, 12, DINO_DIM))
    tokens = control.tokens
    doubled = replace(control, tokens=torch.cat([tokens, tokens], dim=1))
    timestep = torch.cat([torch.zeros(1, 6), torch.full((1, 6), 625.0)], dim=1)
    both = dit(
        torch.cat([clean, noisy], dim=1),
        timestep,
        text,
        control=doubled,
        mask=teacher_forcing(6, chunk),
    )[:, 6:]
    for start in range(0, 6, chunk):
        past = clean[:, :start]
        x = torch.cat([past, noisy[:, start : start + chunk]], dim=1)
        so_far = replace(control, tokens=tokens[:, : start + chunk])
        mask = block_causal(x.shape[1], chunk)
        single = dit(x, timestep[:, 6 - start : 6 + chunk], text, control=so_far, mask=mask)
        torch.testing.assert_close(
            both[:, start : start + chunk], single[:, start:], atol=1e-5, rtol=1e-4
        )


def test_mask_truth_table():
    clean = [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    assert block_causal(4, 2).dense().int().tolist() == clean
    own = [[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]
    past = [[0] * 4, [0] * 4, [1, 1, 0, 0], [1, 1, 0, 0]]
    expected = [row + [0] * 4 for row in clean] + [a + b for a, b in zip(past, own, strict=True)]
    assert teacher_forcing(4, 2).dense().int().tolist() == expected


def test_window_mask_truth_table():
    table = block_causal(6, 1, window=3, sink=1).dense().int().tolist()
    assert table[2] == [1, 1, 1, 0, 0, 0]
    assert table[3] == [1, 0, 1, 1, 0, 0]
    assert table[5] == [1, 0, 0, 0, 1, 1]
    assert block_causal(5, 2).rows[-1] == (range(4, 5), (range(5),)), "a last, shorter block"


def gradients_of(model: DiT, run) -> dict[str, torch.Tensor]:
    """Gradients of the mean square of what `run` gives."""
    model.requires_grad_(True)
    model.zero_grad()
    run().square().mean().backward()
    found = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    return {name: gradient.clone() for name, gradient in found.items()}


def test_checkpointing_gives_the_same_gradients_for_more_work(dit):
    x, timestep, text = clip(2), torch.tensor([500.0]), prompt(dit)
    calls = []
    dit.blocks[1].register_forward_pre_hook(lambda *_: calls.append(1))
    found = []
    for recompute in (False, True):
        dit.checkpoint_blocks = recompute
        calls.clear()
        found.append(gradients_of(dit, lambda: dit(x, timestep, text)))
        assert len(calls) == (2 if recompute else 1), "the blocks did not run again"
    assert found[0].keys() == found[1].keys()
    assert "blocks.0.self_attn.q.weight" in found[0]
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


def test_checkpointing_sees_the_cache_as_it_was(dit):
    """The chunk is finalized, and the next one begun, before the backward pass runs."""
    found = []
    for recompute in (False, True):
        torch.manual_seed(4)
        dit.requires_grad_(False)
        cache = KVCache(CacheSpec.of(DIT, StreamConfig(chunk=2, window=4, sink=1), 12))
        text, clean = prompt(dit), torch.tensor([0.0])
        chunks = [clip(2) for _ in range(4)]
        with torch.no_grad():
            for chunk in chunks[:2]:
                cache.make_room(2)
                dit(chunk, clean, text, cache=cache)
                cache.commit(2)
        dit.checkpoint_blocks = recompute
        cache.make_room(2)
        dit.requires_grad_(True)
        out = dit(chunks[2], torch.tensor([500.0]), text, cache=cache)
        with torch.no_grad():
            dit(chunks[2], clean, text, cache=cache)
            cache.commit(2)
            cache.make_room(2)
            dit(chunks[3], clean, text, cache=cache)
        found.append(gradients_of(dit, lambda out=out: out))
    assert found[0].keys() == found[1].keys()
    for name, gradient in found[0].items():
        torch.testing.assert_close(gradient, found[1][name])


@pytest.mark.parametrize("trained", ["self_attn.v", "self_attn.q", "self_attn.k"])
def test_any_part_may_train_beside_a_cache(dit, trained):
    """One matrix alone, as with a low-rank update: the cache must stay out of the graph."""
    cache = KVCache(CacheSpec.of(DIT, StreamConfig(chunk=2, window=4, sink=0), 12))
    text = prompt(dit)
    dit.blocks[0].get_submodule(trained).requires_grad_(True)
    for _ in range(2):
        dit(clip(2), torch.tensor([500.0]), text, cache=cache).square().mean().backward()
        with torch.no_grad():
            dit(clip(2), torch.tensor([0.0]), text, cache=cache)
        cache.commit(2)
    gradient = dit.blocks[0].get_submodule(trained).weight.grad
    assert gradient is not None
    assert gradient.abs().max() > 0
    assert not cache.keys.requires_grad
    assert not cache.values.requires_grad


def test_joined_products_give_the_same_and_keep_the_names(dit):
    x, timestep, text = clip(3), torch.tensor([500.0]), prompt(dit)
    before, names = dit(x, timestep, text), list(dit.state_dict())
    dit.join_qkv()
    torch.testing.assert_close(dit(x, timestep, text), before)
    assert list(dit.state_dict()) == names
    other = make_dit()
    dit.load_state_dict({name: 2 * tensor for name, tensor in other.state_dict().items()})
    other.load_state_dict(dit.state_dict())
    torch.testing.assert_close(dit(x, timestep, text), other(x, timestep, text))


def test_products_are_not_joined_while_they_learn(dit):
    dit.requires_grad_(True)
    with pytest.raises(ValueError, match="inference"):
        dit.join_qkv()


def test_steps_between_products_can_be_replaced(dit):
    x, timestep, text = clip(2), torch.tensor([500.0]), prompt(dit)
    before, called = dit(x, timestep, text), []

    def counted(name):
        def step(*args):
            called.append(name)
            return getattr(REFERENCE, name)(*args)

        return step

    dit.fused_ops = FusedOps(*(counted(field.name) for field in fields(FusedOps)))
    torch.testing.assert_close(dit(x, timestep, text), before)
    layers = DIT.layers
    assert Counter(called) == {
        "norm_modulate": 2 * layers + 1,
        "norm_rotate": 2 * layers,
        "gate_add": 2 * layers,
    }


def test_autocast_keeps_time_in_float32(dit):
    x, timestep, text = clip(2), torch.tensor([937.5]), prompt(dit)
    exact = dit(x, timestep, text)
    dit.requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        call, time = dit._begin(timestep[:, None], text, 2, (3, 4), None, None, None)
        assert call.modulation.dtype == time.dtype == torch.float32
        out = dit(x, timestep, text)
        loss = out.square().mean()
    loss.backward()
    assert (out - exact).norm() / exact.norm() < 0.03
    gradient = dit.time_embedding[0].weight.grad
    assert gradient is not None
    assert gradient.dtype == torch.float32
    assert gradient.isfinite().all()


def test_a_wholly_cast_model_is_refused(dit):
    text = prompt(dit)
    with pytest.raises(ValueError, match=r"c2r\.models\.precision\.cast"):
        dit.to(torch.bfloat16)(clip(1), torch.tensor([1.0]), text)


def test_a_mask_for_another_clip_is_refused(dit):
    with pytest.raises(ValueError, match="the mask is for 4 latents, the clip has 6"):
        dit(clip(6), torch.tensor([1.0]), prompt(dit), mask=teacher_forcing(2, 1))
    with pytest.raises(ValueError, match="make it 4 or more"):
        block_causal(6, 3, window=3, sink=1)


def test_unsplittable_width_is_refused():
    from c2r.models.configs import DiTConfig

    with pytest.raises(ValueError, match="heads"):
        DiTConfig(dim=100, ffn_dim=10, heads=3, layers=1)
