"""The steps between products: PyTorch against float64, Triton against PyTorch."""

from __future__ import annotations

import importlib.util
import os

import pytest
import torch
from torch.nn import functional as F

from c2r.kernels.autotune import TokenShape, choose_fused_ops
from c2r.kernels.fused_ops import NAMES, REFERENCE, FusedOps, get_fused_ops, rotate_pairs

EPS = 1e-6
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"


@pytest.fixture(params=NAMES)
def fused_ops(request) -> FusedOps:
    if request.param == "triton":
        if importlib.util.find_spec("triton") is None:
            pytest.skip("triton is not installed")
        if not (torch.cuda.is_available() or INTERPRETED):
            pytest.skip("triton needs a CUDA device, or TRITON_INTERPRET=1")
    return get_fused_ops(request.param)


def random(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    device = "cuda" if torch.cuda.is_available() and not INTERPRETED else "cpu"
    return torch.randn(shape).to(device, dtype)


def modulations(batch: int, count: int, width: int) -> tuple[torch.Tensor, ...]:
    """As a block makes them: slices of one tensor."""
    return random(batch, count, 6, width).unsqueeze(-2).unbind(2)


def assert_near(made: torch.Tensor, expected: torch.Tensor) -> None:
    atol, rtol = (2e-5, 2e-5) if made.dtype == torch.float32 else (2e-2, 1e-2)
    torch.testing.assert_close(made.double(), expected, atol=atol, rtol=rtol)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("batch", "own", "count"), [(1, 1, 1), (2, 2, 1), (2, 1, 3), (2, 2, 3)])
def test_norm_modulate(fused_ops, dtype, batch, own, count):
    x = random(batch, 3, 5, 48, dtype=dtype)
    shift, scale, *_ = modulations(own, count, 48)
    normed = F.layer_norm(x.double(), (48,), eps=EPS)
    expected = normed * (1 + scale.double()) + shift.double()
    made = fused_ops.norm_modulate(x, shift, scale, EPS)
    assert made.dtype == dtype
    assert_near(made, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("joined", [False, True])
def test_norm_rotate(fused_ops, dtype, joined):
    """Three heads of 16; `x` is a whole tensor, or a slice of joined q, k and v."""
    whole = random(2, 7, 3 * 48, dtype=dtype)
    x = whole.chunk(3, -1)[1] if joined else random(2, 7, 48, dtype=dtype)
    weight, angles = random(48, dtype=dtype), random(7, 8).double()
    wide = x.double()
    normed = wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + EPS) * weight.double()
    points = torch.view_as_complex(normed.reshape(2, 7, 3, 8, 2))
    turned = points * torch.polar(torch.ones_like(angles), angles)[:, None]
    table = angles.cos().float(), angles.sin().float()
    made = fused_ops.norm_rotate(x, weight, EPS, table)
    assert made.shape == (2, 7, 3, 16)
    assert made.dtype == dtype
    expected = torch.view_as_real(turned).flatten(-2)
    assert_near(made, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("own", "count"), [(1, 1), (2, 3)])
def test_gate_add(fused_ops, dtype, own, count):
    x, update = random(2, 3, 5, 48, dtype=dtype), random(2, 3, 5, 48, dtype=dtype)
    gate = modulations(own, count, 48)[2]
    expected = x.double() + update.double() * gate.double()
    made = fused_ops.gate_add(x, update, gate)
    assert made.dtype == dtype
    assert_near(made, expected)


def test_traced_form_equals_the_eager_one():
    """Graphs are given another form of the rotation and of the norm than eager CPU code."""
    x = torch.randn(1, 2, 3, 32)
    shift, scale = torch.randn(2, 1, 1, 1, 32).unbind(0)
    angles = torch.randn(3, 16)

    class Both(torch.nn.Module):
        def forward(self, x, shift, scale, angles):
            made = REFERENCE.norm_modulate(x, shift, scale, EPS)
            return rotate_pairs(made, angles.cos(), angles.sin())

    traced = torch.export.export(Both(), (x, shift, scale, angles))
    names = {node.target for node in traced.graph.nodes}
    assert torch.ops.aten.view_as_complex.default not in names
    expected = Both()(x, shift, scale, angles)
    torch.testing.assert_close(traced.module()(x, shift, scale, angles), expected)


def test_gradients_flow_through_the_reference_ops():
    x = torch.randn(1, 2, 3, 8, dtype=torch.float64)
    shift, scale, gate = torch.randn(3, 1, 1, 1, 8).unbind(0)
    x = x.float().requires_grad_()
    made = REFERENCE.gate_add(x, REFERENCE.norm_modulate(x, shift, scale, EPS), gate)
    table = torch.randn(6, 2).cos(), torch.randn(6, 2).sin()
    REFERENCE.norm_rotate(made.flatten(1, 2), torch.ones(8), EPS, table).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_off_cuda_all_ops_are_the_reference():
    fused_ops, why = choose_fused_ops(TokenShape(2, 3, 2, 8), torch.device("cpu"), torch.bfloat16)
    assert fused_ops is REFERENCE
    assert set(why) == {"norm_modulate", "norm_rotate", "gate_add"}


def test_every_step_is_chosen_on_cuda():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    shape = TokenShape(3, 40, 4, 64)
    fused_ops, why = choose_fused_ops(shape, torch.device("cuda"), torch.bfloat16)
    assert all(
        set(choice.milliseconds) | set(choice.left_out) == set(NAMES) for choice in why.values()
    )
    assert "reference" in why["gate_add"].milliseconds
    assert callable(fused_ops.norm_rotate)


def test_unknown_fused_ops_name_the_known():
    with pytest.raises(ValueError, match="reference, triton"):
        get_fused_ops("fast")
