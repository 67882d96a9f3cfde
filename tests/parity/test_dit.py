"""Our DiT against diffusers' WanTransformer3DModel, through our own reading of its names."""

from __future__ import annotations

import pytest
import torch
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel

from c2r.models.configs import DiTConfig
from c2r.models.dit import DiT
from c2r.weights.networks import load_dit


def reference(config: DiTConfig, seed: int) -> WanTransformer3DModel:
    torch.manual_seed(seed)
    model = WanTransformer3DModel(
        patch_size=(1, config.patch, config.patch),
        num_attention_heads=config.heads,
        attention_head_dim=config.head_dim,
        in_channels=config.channels,
        out_channels=config.channels,
        text_dim=config.text_dim,
        freq_dim=config.freq_dim,
        ffn_dim=config.ffn_dim,
        num_layers=config.layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        eps=config.eps,
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval()


@pytest.mark.parametrize(
    ("config", "size", "batch"),
    [
        (DiTConfig(96, 160, 4, 3, text_dim=32, text_len=16), (3, 6, 8), 2),
        (DiTConfig(128, 96, 1, 2, text_dim=24, text_len=8), (1, 4, 10), 1),
        (DiTConfig(120, 64, 3, 4, text_dim=16, text_len=5), (7, 2, 6), 3),
    ],
)
def test_matches_diffusers(tmp_path, config, size, batch):
    theirs = reference(config, seed=sum(size))
    theirs.save_pretrained(tmp_path)
    ours = load_dit(tmp_path, config, dtype=torch.float32)
    frames, rows, columns = size
    x = torch.randn(batch, frames, config.channels, rows, columns)
    timestep = torch.rand(batch) * 1000
    text = torch.randn(batch, config.text_len, config.text_dim)
    with torch.no_grad():
        expected = theirs(x.transpose(1, 2), timestep, text, return_dict=False)[0].transpose(1, 2)
        got = ours(x, timestep, ours.text_kv(text))
    assert (got - expected).abs().max() <= 1e-4 * expected.abs().max()


def test_half_precision_keeps_close(tmp_path):
    """bfloat16 keeps the time embedding in float32 and stays within its own rounding."""
    config = DiTConfig(96, 160, 4, 3, text_dim=32, text_len=16)
    reference(config, 1).save_pretrained(tmp_path)
    full, half = load_dit(tmp_path, config, dtype=torch.float32), load_dit(tmp_path, config)
    kept = {name for name, value in half.named_parameters() if value.dtype == torch.float32}
    assert {"time_embedding.0.weight", "blocks.0.modulation", "head.modulation"} <= kept
    assert "blocks.0.ffn.0.weight" not in kept
    x, timestep = torch.randn(1, 2, 16, 6, 8), torch.tensor([700.0])
    text = torch.randn(1, 16, 32)
    with torch.no_grad():
        expected = full(x, timestep, full.text_kv(text))
        got = half(x, timestep, half.text_kv(text))
    assert got.dtype == torch.float32
    error = (got - expected).norm() / expected.norm()
    assert 0 < error < 0.03


def test_meta_sizes():
    from c2r.models.presets import get_preset

    for name, count in (("wan-14b", 14_288_491_584), ("wan-1.3b", 1_418_996_800)):
        with torch.device("meta"):
            model = DiT(get_preset(name).dit)
        assert sum(parameter.numel() for parameter in model.parameters()) == count
