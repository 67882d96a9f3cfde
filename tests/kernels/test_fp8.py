"""FP8 linears: the reference compared with the formats' own arithmetic and with the hardware."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from c2r.kernels.fp8 import (
    Fp8Linear,
    calibrate,
    channel_scales,
    emulated_mm,
    fp8_layers,
    round_e4m3,
    store_e4m3,
    to_fp8,
)
from tests.small_networks import DIT, make_dit


def test_rounding_saturates_and_keeps_three_bits():
    x = torch.tensor([1.0, 1.0624, 1.0626, 448.0, 1000.0, -1000.0])
    expected = torch.tensor([1.0, 1.0, 1.125, 448.0, 448.0, -448.0])
    torch.testing.assert_close(round_e4m3(x, 1.0), expected)
    torch.testing.assert_close(round_e4m3(x / 8, 0.125), expected / 8)


def test_reference_is_the_product_of_rounded_numbers():
    layer = nn.Linear(48, 32).requires_grad_(False)
    x = torch.randn(2, 7, 48)
    scale = float(x.abs().max()) / 448
    rounded = round_e4m3(layer.weight, channel_scales(layer.weight)).double()
    expected = F.linear(round_e4m3(x, scale).double(), rounded, layer.bias.double())
    made = Fp8Linear.of(layer, scale)(x)
    torch.testing.assert_close(made.double(), expected, atol=1e-5, rtol=1e-5)
    off = (made - layer(x)).norm() / layer(x).norm()
    assert 1e-4 < off < 0.06


def test_odd_sizes_are_refused():
    with pytest.raises(ValueError, match="multiples of 16"):
        Fp8Linear.of(nn.Linear(48, 20), 1.0)


def streamed(dit, x: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(9)
    shape = 1, DIT.text_len, DIT.text_dim
    text = dit.text_kv(torch.randn(shape, generator=generator))
    with torch.no_grad():
        return dit(x, torch.tensor([625.0]), text)


def test_a_dit_in_fp8_stays_close_and_keeps_what_must_stay():
    dit, x = make_dit(), torch.randn(1, 3, 16, 6, 8)
    exact = streamed(dit, x)
    scales = calibrate(dit, lambda: streamed(dit, x))
    assert set(scales) == set(fp8_layers(dit))
    assert not any("text" in name or "time" in name or "head" in name for name in scales)
    assert "blocks.0.ffn.2" in scales
    assert "blocks.2.cross_attn.q" in scales
    rounded = copy.deepcopy(dit)
    to_fp8(rounded, scales)
    assert isinstance(rounded.get_submodule("blocks.0.ffn.0"), Fp8Linear)
    apart = streamed(rounded, x)
    off = (apart - exact).norm() / exact.norm()
    assert 1e-4 < off < 0.05
    rounded.join_qkv()
    torch.testing.assert_close(streamed(rounded, x), apart, atol=1e-5, rtol=1e-4)


def test_layers_that_never_ran_have_no_scales():
    with pytest.raises(ValueError, match="never ran blocks"):
        calibrate(make_dit(), lambda: None)


def test_unknown_layers_are_refused():
    with pytest.raises(ValueError, match=r"blocks\.9\.ffn\.0 is no linear layer"):
        to_fp8(make_dit(), {"blocks.9.ffn.0": 1.0})


def test_reference_equals_the_hardware():
    if not torch.cuda.is_available() or torch.cuda.get_device_capability() < (8, 9):
        pytest.skip("needs a CUDA device with FP8")
    layer = nn.Linear(256, 512).requires_grad_(False).to("cuda", torch.bfloat16)
    x = torch.randn(64, 256, device="cuda").bfloat16()
    fp8 = Fp8Linear.of(layer, float(x.abs().max()) / 448)
    rows = store_e4m3(x, fp8.input_scale)
    parts = fp8.weight, fp8.input_scale, fp8.weight_scale, fp8.bias
    expected = emulated_mm(rows, *parts, torch.float32)
    torch.testing.assert_close(fp8(x).float(), expected, atol=3e-2, rtol=2e-2)
