"""The attention registry: each kernel that is installed equals PyTorch's own."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from c2r.models.attention import BACKENDS, attend_masked, block_causal, get_attention, sdpa

PACKAGES = {"flash-attn": "flash_attn", "xformers": "xformers"}


def qkv(queries: int, keys: int, device: str = "cpu", dtype: torch.dtype = torch.float32):
    shapes = [(2, queries, 3, 32), (2, keys, 3, 32), (2, keys, 3, 32)]
    return [torch.randn(shape, device=device, dtype=dtype) for shape in shapes]


def test_sdpa_against_float64():
    q, k, v = qkv(5, 9)
    score = torch.einsum("blhd,bshd->bhls", q.double(), k.double()) / 32**0.5
    expected = torch.einsum("bhls,bshd->blhd", score.softmax(-1), v.double())
    torch.testing.assert_close(sdpa(q, k, v).double(), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_kernel_equals_sdpa(name):
    if importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{name} is not installed")
    if not torch.cuda.is_available():
        pytest.skip(f"{name} needs a CUDA device")
    q, k, v = qkv(130, 300, "cuda", torch.bfloat16)
    torch.testing.assert_close(get_attention(name)(q, k, v), sdpa(q, k, v), atol=2e-2, rtol=2e-2)


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_missing_kernel_says_what_to_install(name, monkeypatch):
    import sys

    for module in (PACKAGES[name], f"{PACKAGES[name]}.ops"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"pip install {name}"):
        get_attention(name)


def test_unknown_kernel_names_the_known():
    with pytest.raises(ValueError, match="sdpa, flash-attn, xformers"):
        get_attention("fast")
    assert list(BACKENDS) == ["sdpa", "flash-attn", "xformers"]


def test_masked_attention_equals_a_dense_mask():
    q, k, v = qkv(24, 24)
    mask = block_causal(8, 2, window=4, sink=1)
    dense = mask.dense().repeat_interleave(3, 0).repeat_interleave(3, 1)
    heads_first = [part.transpose(1, 2) for part in (q, k, v)]
    expected = torch.nn.functional.scaled_dot_product_attention(
        heads_first[0], heads_first[1], heads_first[2], attn_mask=dense
    ).transpose(1, 2)
    torch.testing.assert_close(attend_masked(sdpa, mask, q, k, v), expected, atol=1e-5, rtol=1e-4)
