"""Linear layers in fewer products: with the GELU behind them, or several over one input.

Shapes: I inputs and O outputs of the layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.kernels.fp8 import Fp8Linear

Product = Callable[[Tensor], Tensor]
"""`[..., I]` -> `[..., O]`."""


def linear_gelu(layer: nn.Module, x: Tensor) -> Tensor:
    """`gelu(layer(x))` in its tanh form, `[..., I]` -> `[..., O]`.

    oneDNN has both in one on the CPU; the GELU then sees the product before it is rounded. float32
    stays as it is: there, serving gives the bits of the rollouts in training.
    """
    if _on_bare_cpu(x) and _plain_linear(layer):
        weight, bias = layer.weight, layer.bias
        made: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "tanh")
        return made
    return F.gelu(layer(x), approximate="tanh")


def _plain_linear(layer: nn.Module) -> bool:
    """Whether nobody else has a part in the layer: no subclass (LoRA, FP8), no hook."""
    return type(layer) is nn.Linear and not (layer._forward_hooks or layer._forward_pre_hooks)


def _on_bare_cpu(x: Tensor) -> bool:
    """Whether PyTorch's CPU kernels are called as they are: no graph, gradient or autocast."""
    if torch.compiler.is_compiling() or x.device.type != "cpu":
        return False
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    return torch.backends.mkldnn.is_available() and x.dtype == torch.bfloat16


def join(layers: Sequence[nn.Module]) -> Product:
    """Layers that are given the same input, as one product: outputs behind each other.

    They share its memory from now on. All are plain linear layers, or all are in FP8.
    """
    fp8 = [layer for layer in layers if isinstance(layer, Fp8Linear)]
    if len(fp8) == len(layers):
        whole = Fp8Linear.join(fp8)
        _share(fp8, "weight", whole.weight)
        return whole.forward
    plain = [layer for layer in layers if isinstance(layer, nn.Linear)]
    assert len(plain) == len(layers), "all layers are plain, or all are in FP8"
    weight = torch.cat([layer.weight for layer in plain])
    bias = torch.cat([layer.bias for layer in plain])
    _share(plain, "weight", weight)
    _share(plain, "bias", bias)
    return partial(F.linear, weight=weight, bias=bias)


def _share(layers: Sequence[nn.Module], name: str, whole: Tensor) -> None:
    """Let each layer's tensor of that name be its part of `whole`."""
    start = 0
    for layer in layers:
        own = getattr(layer, name)
        own.data = whole[start : start + len(own)]
        start += len(own)
