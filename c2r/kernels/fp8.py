"""Linear layers in FP8 with static scales: one per input tensor, one per output channel.

E4M3 has 4 bits of exponent, 3 of mantissa and a largest value of 448; `value = stored * scale`.
`calibrate` finds the scales while a model runs, `to_fp8` converts its layers in place. On CUDA the
product is `torch._scaled_mm`; elsewhere a reference that rounds to the same numbers and sums in
float32, so that the error of FP8 can be measured without a GPU.

Shapes: L rows of input, I inputs and O outputs of a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch

import torch
from torch import Tensor, nn
from torch.nn import functional as F

E4M3_MAX = 448.0
SMALLEST = 1e-12
"""Least magnitude that a scale is made for: a layer of zeros must not give a scale of 0."""
MULTIPLE = 16
"""The hardware multiplies matrices whose sides are multiples of this."""
KEPT = {
    "time_embedding.*": "float32 by design",
    "time_projection.*": "float32 by design",
    "text_embedding.*": "runs once per prompt",
    "*.cross_attn.k": "runs once per prompt",
    "*.cross_attn.v": "runs once per prompt",
    "head.*": "its error goes straight to the frame",
}
"""Layers of a DiT that are not converted, by pattern, and why."""


def store_e4m3(x: Tensor, scale: Tensor | float) -> Tensor:
    """`x` as `float8_e4m3fn`, divided by `scale` and rounded; what is beyond 448 saturates."""
    # Clamp first: the cast alone gives NaN beyond 448, and one NaN spoils the whole frame.
    return (x.float() / scale).clamp(-E4M3_MAX, E4M3_MAX).to(torch.float8_e4m3fn)


def round_e4m3(x: Tensor, scale: Tensor | float) -> Tensor:
    """`x` through E4M3 and back, float32."""
    return store_e4m3(x, scale).float() * scale


def channel_scales(weight: Tensor) -> Tensor:
    """Scales of a weight `[O, I]`, one per output: `[O, 1]`."""
    return weight.float().abs().amax(1, keepdim=True).clamp_min(SMALLEST) / E4M3_MAX


class Fp8Linear(nn.Module):
    """A linear layer whose weight is stored in E4M3 and whose input is rounded on the way.

    `weight`: `[O, I]` float8, `weight_scale`: `[1, O]`, `input_scale`: `[1, 1]`, both float32.
    Inference only. `ValueError` for sizes that are no multiple of 16.

    The input scale is static: a scale from each input would need its maximum, one more pass over
    the tensor before every product. Inputs larger than those of the calibration saturate.
    """

    weight: Tensor
    weight_scale: Tensor
    input_scale: Tensor
    bias: Tensor | None

    def __init__(
        self, weight: Tensor, weight_scale: Tensor, input_scale: Tensor, bias: Tensor | None
    ) -> None:
        super().__init__()
        if weight.shape[0] % MULTIPLE or weight.shape[1] % MULTIPLE:
            raise ValueError(
                f"FP8 wants inputs and outputs in multiples of {MULTIPLE}; this layer has "
                f"{weight.shape[1]} and {weight.shape[0]}: leave it out of the scales"
            )
        self.register_buffer("weight", weight)
        self.register_buffer("weight_scale", weight_scale)
        self.register_buffer("input_scale", input_scale)
        self.register_buffer("bias", bias)

    @classmethod
    def of(cls, layer: nn.Linear, input_scale: float) -> Fp8Linear:
        """The layer in FP8; `input_scale` is its largest input / 448."""
        weight, scales = layer.weight.detach(), channel_scales(layer.weight.detach())
        bias = None if layer.bias is None else layer.bias.detach()
        step = torch.full((1, 1), input_scale, device=weight.device)
        return cls(store_e4m3(weight, scales), scales.T.contiguous(), step, bias)

    @classmethod
    def join(cls, layers: Sequence[Fp8Linear]) -> Fp8Linear:
        """Layers that are given the same input, as one: outputs behind each other."""
        biases = [layer.bias for layer in layers if layer.bias is not None]
        assert len(biases) in (0, len(layers)), "all have a bias, or none"
        # One input, so one scale. The largest: a smaller one would saturate for some of the layers.
        step = torch.stack([layer.input_scale for layer in layers]).amax(0)
        return cls(
            torch.cat([layer.weight for layer in layers]),
            torch.cat([layer.weight_scale for layer in layers], dim=1),
            step,
            torch.cat(biases) if biases else None,
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[..., I]` -> `[..., O]` in the dtype of `x`."""
        rows = store_e4m3(x.flatten(0, -2), self.input_scale)
        product = _scaled_mm if x.is_cuda else emulated_mm
        out = product(rows, self.weight, self.input_scale, self.weight_scale, self.bias, x.dtype)
        return out.view(*x.shape[:-1], -1)


def _scaled_mm(
    rows: Tensor,
    weight: Tensor,
    step: Tensor,
    scales: Tensor,
    bias: Tensor | None,
    out: torch.dtype,
) -> Tensor:
    """The hardware's product."""
    # Row-wise scaling wants one scale per row and per column; our rows all have the same one.
    by_row = step.expand(len(rows), 1).contiguous()
    product: Tensor = torch._scaled_mm(
        rows, weight.T, by_row, scales, bias=bias, out_dtype=out, use_fast_accum=True
    )
    return product


def emulated_mm(
    rows: Tensor,
    weight: Tensor,
    step: Tensor,
    scales: Tensor,
    bias: Tensor | None,
    out: torch.dtype,
) -> Tensor:
    """Reference of `_scaled_mm`: `[L, I]` and `[O, I]` float8 -> `[L, O]` of dtype `out`."""
    product = F.linear(rows.float(), weight.float()) * (step * scales)
    return (product if bias is None else product + bias.float()).to(out)


def fp8_layers(model: nn.Module, keep: Mapping[str, str] = KEPT) -> dict[str, nn.Linear]:
    """The linear layers to convert, by name: of fitting sizes, in no pattern of `keep`."""
    return {
        name: layer
        for name, layer in model.named_modules()
        if isinstance(layer, nn.Linear)
        and not any(fnmatch(name, pattern) for pattern in keep)
        and not (layer.in_features % MULTIPLE or layer.out_features % MULTIPLE)
    }


@torch.no_grad()
def calibrate(
    model: nn.Module, run: Callable[[], object], keep: Mapping[str, str] = KEPT
) -> dict[str, float]:
    """Scale of every layer's input, by name: the largest |input| seen while `run` runs, / 448.

    `ValueError` when a layer was never run.
    """
    seen: dict[str, Tensor] = {}
    layers = fp8_layers(model, keep)
    with _watching(layers, seen):
        run()
    silent = [name for name in layers if name not in seen]
    if silent:
        raise ValueError(
            f"calibration never ran {', '.join(silent[:3])}: stream at least one chunk, before "
            "join_qkv"
        )
    return {name: max(float(seen[name]), SMALLEST) / E4M3_MAX for name in layers}


@contextmanager
def _watching(layers: Mapping[str, nn.Linear], seen: dict[str, Tensor]) -> Iterator[None]:
    """Within, `seen` holds the largest input magnitude of each layer so far."""

    def watch(name: str) -> Callable[..., None]:
        def take(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            top = inputs[0].abs().amax().float()
            seen[name] = torch.maximum(seen[name], top) if name in seen else top

        return take

    handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def to_fp8(model: nn.Module, scales: Mapping[str, float]) -> None:
    """Convert the layers named in `scales` (layer -> scale of its input), in place.

    Call it before `join_qkv`. `ValueError` for a name that is no linear layer.
    """
    modules = dict(model.named_modules())
    for name, scale in scales.items():
        layer = modules.get(name)
        if not isinstance(layer, nn.Linear):
            raise ValueError(f"{name} is no linear layer of this model; calibrate it again")
        parent, _, last = name.rpartition(".")
        setattr(modules[parent], last, Fp8Linear.of(layer, scale))
