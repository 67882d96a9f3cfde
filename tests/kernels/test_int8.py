"""8-bit integer products against their reference, and a DiT in them."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from c2r.kernels.int8 import (
    LEAST_GAIN,
    REDUCED,
    Int8Linear,
    emulated,
    integer_gain,
    multiplies_integers,
    quantized,
    to_int8,
)
from tests.kernels.test_fp8 import streamed
from tests.small_networks import make_dit

pytestmark = pytest.mark.skipif(
    "onednn" not in torch.backends.quantized.supported_engines, reason="PyTorch without oneDNN"
)


def test_weights_keep_their_rows_scale():
    weight = torch.randn(5, 40) * torch.tensor([1e-3, 1.0, 5.0, 1e2, 0.0])[:, None]
    stored, scales = quantized(weight)
    assert stored.abs().amax(1).tolist() == [127, 127, 127, 127, 0]
    assert ((stored * scales[:, None] - weight).abs() <= 0.501 * scales[:, None]).all()


@pytest.mark.skipif(REDUCED, reason="inputs have 7 bits on this CPU")
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shift", [0.0, 3.0, -3.0])
def test_products_are_those_of_the_rounded_numbers(bias, shift):
    layer = nn.Linear(48, 32, bias=bias).requires_grad_(False)
    x = torch.randn(2, 7, 48) + shift
    made = Int8Linear(layer)(x)
    assert made.shape == (2, 7, 32)
    wanted = emulated(layer, x)
    # A half step of the input may be rounded either way.
    torch.testing.assert_close(made, wanted, atol=0.01, rtol=1e-3)
    off = (made - layer(x)).norm() / layer(x).norm()
    assert 1e-4 < off < 0.03
    assert (made - wanted).norm() < 0.3 * (made - layer(x)).norm()


def test_a_dit_in_int8_stays_close_and_keeps_what_must_stay():
    dit, x = make_dit(), torch.randn(1, 3, 16, 6, 8)
    exact = streamed(dit, x)
    engine = torch.backends.quantized.engine
    rounded = copy.deepcopy(dit)
    count = to_int8(rounded)
    assert torch.backends.quantized.engine == engine
    made = {name for name, one in rounded.named_modules() if isinstance(one, Int8Linear)}
    assert len(made) == count > 0
    assert not any("text" in name or "time" in name or "head" in name for name in made)
    assert {"blocks.0.ffn.2", "blocks.2.cross_attn.q"} <= made
    off = (streamed(rounded, x) - exact).norm() / exact.norm()
    assert 1e-4 < off < 0.03


def test_they_are_chosen_where_they_are_faster(monkeypatch):
    assert integer_gain() > 0
    monkeypatch.setattr("c2r.kernels.int8.REDUCED", False)
    monkeypatch.setattr("c2r.kernels.int8.integer_gain", lambda: 0.9 * LEAST_GAIN)
    assert not multiplies_integers()
    monkeypatch.setattr("c2r.kernels.int8.integer_gain", lambda: 1.1 * LEAST_GAIN)
    assert multiplies_integers()
    monkeypatch.setattr("c2r.kernels.int8.REDUCED", True)
    assert not multiplies_integers()
