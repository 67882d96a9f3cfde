"""Linear layers in fewer kernel calls: fused with the GELU behind them, or several as one product.

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

    On the CPU in bfloat16 oneDNN fuses both, and the GELU sees the product before it is rounded.
    float32 is not fused: serving must give the same bits as the rollouts of training.
    """
    if _on_bare_cpu(x) and _plain_linear(layer):
        weight, bias = layer.weight, layer.bias
        out: Tensor = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "gelu", [], "tanh")
        return out
    return F.gelu(layer(x), approximate="tanh")


def _plain_linear(layer: nn.Module) -> bool:
    """Whether the layer is a bare `nn.Linear`: no subclass (LoRA, FP8), no hook."""
    return type(layer) is nn.Linear and not (layer._forward_hooks or layer._forward_pre_hooks)


def _on_bare_cpu(x: Tensor) -> bool:
    """Whether a kernel may be called directly: CPU, bfloat16, no graph, gradient or autocast."""
    if torch.compiler.is_compiling() or x.device.type != "cpu":
        return False
    if torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    return torch.backends.mkldnn.is_available() and x.dtype == torch.bfloat16


def join(layers: Sequence[nn.Module]) -> Product:
    """Layers that are given the same input, as one product: outputs behind each other.

    The layers become views of the joined weight, so parameters keep their names and nothing is held
    twice. All are `nn.Linear`, or all are in FP8.
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
    """Make each layer's tensor of that name a view of its part of `whole`."""
    start = 0
    for layer in layers:
        own = getattr(layer, name)
        own.data = whole[start : start + len(own)]
        start += len(own)
