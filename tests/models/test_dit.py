"""The DiT: timesteps, masks, text, checkpointing."""

from __future__ import annotations

import pytest
import torch

from c2r.models.attention import block_causal, teacher_forcing
from c2r.models.dit import DiT, sinusoid
from tests.small_networks import SMALL


def clip(latents: int, batch: int = 1) -> torch.Tensor:
    return torch.randn(batch, latents, 16, 6, 8)


def prompt(dit: DiT, batch: int = 1):
    return dit.text_kv(torch.randn(batch, SMALL.text_len, SMALL.text_dim))


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
    embeddings = torch.randn(1, SMALL.text_len, SMALL.text_dim)
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
    clean, noisy, text, chunk = clip(6), clip(6), prompt(dit), 2
    places = torch.arange(6)
    timestep = torch.cat([torch.zeros(1, 6), torch.full((1, 6), 625.0)], dim=1)
    both = dit(
        torch.cat([clean, noisy], dim=1),
        timestep,
        text,
        mask=teacher_forcing(6, chunk),
        positions=torch.cat([places, places]),
    )[:, 6:]
    for start in range(0, 6, chunk):
        past = clean[:, :start]
        x = torch.cat([past, noisy[:, start : start + chunk]], dim=1)
        single = dit(
            x, timestep[:, 6 - start : 6 + chunk], text, mask=block_causal(x.shape[1], chunk)
        )
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


def test_checkpointing_gives_the_same_gradients(dit):
    x, timestep, text = clip(2), torch.tensor([500.0]), prompt(dit)
    gradients = []
    for recompute in (False, True):
        model = dit.requires_grad_(True)
        model.zero_grad()
        model.checkpoint_blocks = recompute
        model(x, timestep, text).square().mean().backward()
        gradients.append(
            {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        )
    assert gradients[0].keys() == gradients[1].keys()
    assert "blocks.0.self_attn.q.weight" in gradients[0]
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name])


def test_autocast_trains_in_bfloat16(dit):
    dit.requires_grad_(True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = dit(clip(2), torch.tensor([500.0]), prompt(dit)).square().mean()
    loss.backward()
    gradient = dit.time_embedding[0].weight.grad
    assert gradient is not None
    assert gradient.dtype == torch.float32
    assert gradient.isfinite().all()


def test_unsplittable_width_is_refused():
    from c2r.models.presets import DiTConfig

    with pytest.raises(ValueError, match="heads"):
        DiTConfig(dim=100, ffn_dim=10, heads=3, layers=1)
