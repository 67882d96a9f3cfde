"""Half precision with the exceptions that a network needs, and checks for NaN and infinity."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor, nn

from c2r.kernels.race import gain


@runtime_checkable
class KeepsFloat32(Protocol):
    """A network some of whose parameters stay float32 in a half-precision model."""

    def keeps_float32(self, name: str) -> bool:
        """Whether the parameter of that name does."""


def parameter_dtype(module: nn.Module, name: str, dtype: torch.dtype) -> torch.dtype:
    """Dtype that the parameter `name` of `module` takes when the module is to be `dtype`."""
    if isinstance(module, KeepsFloat32) and module.keeps_float32(name):
        return torch.float32
    return dtype


def multiplies_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 products are faster than float32 there: CUDA, and CPUs that show it.

    What a CPU's instruction set says is not enough: of two that have AVX512-BF16, one multiplied
    bfloat16 four times as fast as float32, the other half as fast.
    """
    if device.type != "cpu":
        return device.type == "cuda"
    supported = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return supported and bfloat16_gain() > 1


@cache
def bfloat16_gain() -> float:
    """Time of a float32 product over that of a bfloat16 one on this CPU; takes 0.1 s, once."""
    a, b = torch.ones(1024, 512), torch.ones(512, 1024)
    half_a, half_b = a.bfloat16(), b.bfloat16()
    return gain(lambda: torch.mm(a, b), lambda: torch.mm(half_a, half_b))


def full_precision(device: torch.device) -> AbstractContextManager[object]:
    """Autocast off within; does nothing on the meta device, which has no autocast."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


Module = TypeVar("Module", bound=nn.Module)


def cast(module: Module, dtype: torch.dtype) -> Module:
    """Cast the parameters to `dtype` in place, except those that the module keeps in float32.

    Use this and not `module.to(dtype)`: the DiT's time embedding must stay float32.
    """
    for name, parameter in module.named_parameters():
        parameter.data = parameter.data.to(parameter_dtype(module, name, dtype))
    return module


def is_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite; the extremes tell, and need no mask in memory."""
    if not tensor.is_floating_point() or tensor.numel() == 0:
        return True
    low, high = tensor.aminmax()
    return bool(torch.isfinite(low) & torch.isfinite(high))
