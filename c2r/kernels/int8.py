"""Linear layers in 8-bit integers for CPUs that multiply them faster than floats (VNNI).

Weights have a scale for each output channel, found once; inputs a scale and a zero point for each
call, found on the way, so nothing needs calibration. The product is oneDNN's; `emulated` is the
same numbers in float32.

Shapes: L rows of input, I inputs and O outputs of a layer.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.kernels.fp8 import KEPT
from c2r.kernels.race import gain

WEIGHT_MAX = 127
SMALLEST = 1e-12
LEAST_INPUTS = 16
"""Layers with fewer inputs are left as they are: too little work to win anything."""
REDUCED = not torch.cpu._is_vnni_supported()
"""Without VNNI products are summed in 16 bits, which inputs of 8 bits overflow: they get 7."""
LEAST_GAIN = 1.3
"""Rounding is not worth less."""


def quantized(weight: Tensor) -> tuple[Tensor, Tensor]:
    """A weight `[O, I]` as int8 and the scales `[O]` of its rows; `value = stored * scale`."""
    scales = weight.float().abs().amax(1).clamp_min(SMALLEST) / WEIGHT_MAX
    return (weight / scales[:, None]).round().to(torch.int8), scales


class Int8Linear(nn.Module):
    """A linear layer with weights in int8, inputs rounded to 256 levels of their own range.

    Inference on the CPU only, float32 in and out.
    """

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight, scales = quantized(layer.weight.detach())
        bias = None if layer.bias is None else layer.bias.detach().float()
        self.out_features, self.in_features = weight.shape
        zero = torch.zeros(len(weight), dtype=torch.int64)
        with _onednn(), warnings.catch_warnings():
            # PyTorch wants to be rid of such tensors; its product of integers takes no others yet.
            warnings.simplefilter("ignore", UserWarning)
            stored = torch._make_per_channel_quantized_tensor(weight, scales.double(), zero, 0)
            self._packed = torch.ops.quantized.linear_prepack(stored, bias)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., I]` -> `[..., O]`."""
        out: Tensor = torch.ops.quantized.linear_dynamic(x.contiguous(), self._packed, REDUCED)
        return out


def emulated(layer: nn.Linear, x: Tensor) -> Tensor:
    """Reference of `Int8Linear.forward`: what the rounded weight and input multiply to.

    The range of the input always holds 0, which is exact.
    """
    stored, scales = quantized(layer.weight.detach())
    low, high = x.min().clamp_max(0), x.max().clamp_min(0)
    step = (high - low).clamp_min(SMALLEST) / 255
    zero = (-low / step).round()
    rounded = ((x / step).round() + zero).clamp(0, 255) - zero
    return F.linear(rounded * step, stored.float() * scales[:, None], layer.bias)


def to_int8(model: nn.Module, keep: Mapping[str, str] = KEPT) -> int:
    """Convert the linear layers that are in no pattern of `keep`, in place; gives their number.

    `ValueError` where PyTorch has no such products.
    """
    if "onednn" not in torch.backends.quantized.supported_engines:
        raise ValueError(
            "this PyTorch multiplies no 8-bit integers (its CPU build lacks oneDNN): use "
            "--precision float32"
        )
    found = [
        name
        for name, layer in model.named_modules()
        if type(layer) is nn.Linear
        and layer.in_features >= LEAST_INPUTS
        and not any(fnmatch(name, pattern) for pattern in keep)
    ]
    for name in found:
        parent, _, own = name.rpartition(".")
        layer = model.get_submodule(name)
        assert isinstance(layer, nn.Linear)
        setattr(model.get_submodule(parent), own, Int8Linear(layer))
    return len(found)


def multiplies_integers() -> bool:
    """Whether such products are exact in their sums and clearly faster than float32 on this CPU."""
    there = "onednn" in torch.backends.quantized.supported_engines
    return there and not REDUCED and integer_gain() > LEAST_GAIN


@cache
@torch.no_grad()
def integer_gain() -> float:
    """Time of a float32 layer over that of an `Int8Linear` on this CPU; takes about 0.1 s, once."""
    plain, x = nn.Linear(512, 1024), torch.ones(1024, 512)
    integers = Int8Linear(plain)
    return gain(lambda: plain(x), lambda: integers(x))


@contextmanager
def _onednn() -> Iterator[None]:
    """Weights are packed for the engine that is chosen for the whole process."""
    before = torch.backends.quantized.engine
    torch.backends.quantized.engine = "onednn"
    try:
        yield
    finally:
        torch.backends.quantized.engine = before
