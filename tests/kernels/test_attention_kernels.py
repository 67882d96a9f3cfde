"""Attention: every kernel equals PyTorch's own, and the fastest is found and remembered."""

from __future__ import annotations

import importlib.util

import pytest
import torch

from c2r.kernels import attention, autotune
from c2r.kernels.attention import BACKENDS, get_attention, products, sdpa
from c2r.kernels.autotune import AttentionShape, check_close, choose_attention, fastest

PACKAGES = {
    "flash-attn": "flash_attn",
    "flash-attn-3": "flash_attn_interface",
    "xformers": "xformers",
}


def qkv(queries: int, keys: int, device: str = "cpu", dtype: torch.dtype = torch.float32):
    shapes = [(2, queries, 3, 32), (2, keys, 3, 32), (2, keys, 3, 32)]
    return [torch.randn(shape, device=device, dtype=dtype) for shape in shapes]


def in_float64(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    score = torch.einsum("blhd,bshd->bhls", q.double(), k.double()) / q.shape[-1] ** 0.5
    return torch.einsum("bhls,bshd->blhd", score.softmax(-1), v.double())


def test_sdpa_against_float64():
    q, k, v = qkv(5, 9)
    torch.testing.assert_close(sdpa(q, k, v).double(), in_float64(q, k, v), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("at_once", [2**24, 2 * 3 * 40 * 7])
def test_products_against_float64(at_once, monkeypatch):
    """All queries at once, and seven at a time."""
    monkeypatch.setattr(attention, "SCORES_AT_ONCE", at_once)
    q, k, v = qkv(23, 40)
    made = products(q, k, v)
    assert made.shape == q.shape
    torch.testing.assert_close(made.double(), in_float64(q, k, v), atol=1e-5, rtol=1e-5)


def test_sdpa_in_half_precision_with_and_without_gradients():
    q, k, v = qkv(23, 40, dtype=torch.bfloat16)
    expected = in_float64(q, k, v)
    with torch.no_grad():
        torch.testing.assert_close(sdpa(q, k, v).double(), expected, atol=2e-2, rtol=2e-2)
    q.requires_grad_()
    made = sdpa(q, k, v)
    torch.testing.assert_close(made.double(), expected, atol=2e-2, rtol=2e-2)
    made.sum().backward()
    assert q.grad is not None


@pytest.mark.parametrize("name", [name for name in BACKENDS if name != "sdpa"])
def test_kernel_equals_sdpa(name):
    if name in PACKAGES and importlib.util.find_spec(PACKAGES[name]) is None:
        pytest.skip(f"{name} is not installed")
    if not torch.cuda.is_available():
        pytest.skip(f"{name} needs a CUDA device")
    q, k, v = (torch.randn(1, n, 3, 64, device="cuda").bfloat16() for n in (130, 300, 300))
    check_close(get_attention(name)(q, k, v), sdpa(q, k, v))


@pytest.mark.parametrize("name", sorted(PACKAGES))
def test_missing_kernel_says_what_to_install(name, monkeypatch):
    import sys

    for module in (PACKAGES[name], f"{PACKAGES[name]}.ops"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match="install it with"):
        get_attention(name)


def test_unknown_kernel_names_the_known():
    with pytest.raises(ValueError, match="sdpa, products, cudnn, flash, efficient, flash-attn"):
        get_attention("fast")


def test_off_cuda_pytorch_chooses():
    shapes = [AttentionShape(4, 8, 2, 16)]
    assert choose_attention(shapes, torch.device("cpu"), torch.bfloat16).name == "sdpa"


def test_the_fastest_is_found_and_reasons_are_kept(monkeypatch):
    took = {"slow": 3.0, "quick": 1.0}
    current: list[str] = []
    monkeypatch.setattr(autotune, "_host_ms", lambda run: run() or took[current[-1]])

    def trial(name):
        def ready():
            if name == "broken":
                raise RuntimeError("no kernel image\nand more")
            if name == "wrong":
                check_close(torch.zeros(3), torch.ones(3))
            return lambda: current.append(name)

        return ready

    found = fastest(
        {name: trial(name) for name in ("slow", "quick", "broken", "wrong")}, torch.device("cpu")
    )
    assert found.name == "quick"
    assert found.milliseconds == took
    assert found.left_out["broken"] == "no kernel image"
    assert "other numbers" in found.left_out["wrong"]
    with pytest.raises(ValueError, match="no kernel runs"):
        fastest({"broken": trial("broken")}, torch.device("cpu"))


def test_a_kernel_of_nan_is_not_close():
    with pytest.raises(ValueError, match="nan"):
        check_close(torch.full((3,), torch.nan), torch.ones(3))


def test_choice_on_cuda_is_remembered():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    shapes = [AttentionShape(128, 256, 4, 64)]
    device = torch.device("cuda")
    first = choose_attention(shapes, device, torch.bfloat16)
    assert first.name in BACKENDS
    assert choose_attention(shapes, device, torch.bfloat16) is first
