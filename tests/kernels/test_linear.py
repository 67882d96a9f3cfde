"""Fewer products: GELU inside the first, one for q, k and v."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from c2r.kernels.fp8 import Fp8Linear
from c2r.kernels.linear import join, linear_gelu


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fused_gelu_against_float64(dtype):
    layer = nn.Linear(48, 80).requires_grad_(False).to(dtype)
    x = torch.randn(2, 9, 48).to(dtype)
    wide = F.linear(x.double(), layer.weight.double(), layer.bias.double())
    expected = F.gelu(wide, approximate="tanh")
    with torch.no_grad():
        made = linear_gelu(layer, x)
    assert made.dtype == dtype
    close = 1e-5 if dtype == torch.float32 else 1e-2
    torch.testing.assert_close(made.double(), expected, atol=close, rtol=close)


def test_a_watched_layer_is_called_as_it_is():
    layer = nn.Linear(16, 16).requires_grad_(False)
    layer, x = layer.bfloat16(), torch.randn(3, 16).bfloat16()
    seen = []
    with torch.no_grad():
        expected = linear_gelu(layer, x)
        handle = layer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        torch.testing.assert_close(linear_gelu(layer, x), expected, atol=1e-2, rtol=1e-2)
        handle.remove()
        assert len(seen) == 1
        replace = layer.register_forward_hook(lambda *_: torch.zeros(3, 16))
        assert not linear_gelu(layer, x).any()
        replace.remove()


def test_gradients_pass_where_they_are_wanted():
    layer = nn.Linear(16, 16)
    linear_gelu(layer, torch.randn(3, 16)).sum().backward()
    assert layer.weight.grad is not None


def test_joined_layers_share_memory_with_the_product():
    layers = [nn.Linear(16, 32).requires_grad_(False) for _ in range(3)]
    x = torch.randn(2, 5, 16)
    expected = torch.cat([layer(x) for layer in layers], dim=-1)
    product = join(layers)
    torch.testing.assert_close(product(x), expected)
    layers[1].load_state_dict({"weight": torch.ones(32, 16), "bias": torch.zeros(32)})
    torch.testing.assert_close(product(x)[..., 32:64], layers[1](x))


def test_joined_fp8_layers_equal_themselves():
    layers = [nn.Linear(16, 32).requires_grad_(False) for _ in range(3)]
    x = torch.randn(2, 5, 16)
    rounded = [Fp8Linear.of(layer, float(x.abs().max()) / 448) for layer in layers]
    expected = torch.cat([layer(x) for layer in rounded], dim=-1)
    torch.testing.assert_close(join(rounded)(x), expected)
