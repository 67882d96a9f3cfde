"""Post-training calibration of the DiT's linear layers on streams of coarse clips.

Every layer's input range is measured while clips are streamed; then each layer is run again with
rounded weights and inputs, and its error reported. Layers that are kept as they are, are listed
with the reason. Nothing is changed in the networks.

Shapes: L rows of input, I inputs and O outputs of a layer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.models.build import Networks
from export.precision.formats import (
    BLOCK,
    E4M3_MAX,
    SMALLEST,
    channel_scales,
    round_e4m3,
    round_nvfp4,
)

Format = Literal["fp8", "nvfp4"]
KEPT = {
    "time_embedding.*": "float32 by design",
    "time_projection.*": "float32 by design",
    "text_embedding.*": "runs once a prompt",
    "*.cross_attn.k": "runs once a prompt",
    "*.cross_attn.v": "runs once a prompt",
    "head.*": "its error goes straight to the picture",
}
"""Layers that are left as they are, by pattern, and why."""


@dataclass(frozen=True)
class LayerReport:
    """One linear layer. `error`: |rounded - exact| / |exact| of its output, last rows seen."""

    layer: str
    input_scale: float
    error: float


@dataclass(frozen=True)
class Calibration:
    """The scales of a DiT's layers and what they cost. `excluded`: layer -> why it is left."""

    format: Format
    layers: tuple[LayerReport, ...]
    excluded: dict[str, str]

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")


def reason_to_keep(name: str, layer: nn.Linear, form: Format, more: Iterable[str]) -> str | None:
    """Why a layer is left as it is, or None. `more`: patterns that the caller adds."""
    for pattern, reason in (*KEPT.items(), *((pattern, "as asked") for pattern in more)):
        if fnmatch(name, pattern):
            return reason
    if form == "nvfp4" and layer.in_features % BLOCK:
        return f"its {layer.in_features} inputs are no multiple of {BLOCK}"
    return None


def linear_layers(module: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Every linear layer and its name."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            yield name, layer


def rounded_linear(layer: nn.Linear, x: Tensor, scale: float, form: Format) -> Tensor:
    """What the layer would give with rounded inputs `[L, I]` and weights: `[L, O]` float32."""
    weight = layer.weight.float()
    if form == "fp8":
        inputs, weight = round_e4m3(x, scale), round_e4m3(weight, channel_scales(weight))
    else:
        inputs, weight = round_nvfp4(x), round_nvfp4(weight)
    return F.linear(inputs, weight, None if layer.bias is None else layer.bias.float())


@contextmanager
def _watching(layers: dict[str, nn.Linear], seen: Callable[[str, Tensor], None]) -> Iterator[None]:
    def hook(name: str) -> Callable[..., None]:
        return lambda _, inputs: seen(name, inputs[0].detach().flatten(0, -2))

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def calibrate(
    networks: Networks,
    stream: Callable[[], object],
    form: Format = "fp8",
    *,
    exclude: Iterable[str] = (),
    rows: int = 256,
) -> Calibration:
    """Calibrate the DiT while `stream` runs it; `rows` of each layer's last input give its error.

    `ValueError` when a layer was never run: the scales would mean nothing.
    """
    more = tuple(exclude)
    layers, excluded = {}, {}
    for name, layer in linear_layers(networks.dit):
        reason = reason_to_keep(name, layer, form, more)
        if reason is None:
            layers[name] = layer
        else:
            excluded[name] = reason
    largest: dict[str, Tensor] = {}
    kept: dict[str, Tensor] = {}

    def seen(name: str, x: Tensor) -> None:
        top = x.abs().amax().float()
        largest[name] = torch.maximum(largest.get(name, top), top)
        kept[name] = x[:rows].clone()

    with _watching(layers, seen):
        stream()
    silent = sorted(layers.keys() - largest.keys())
    if silent:
        raise ValueError(
            f"calibration never ran {', '.join(silent[:3])}: stream at least one chunk"
        )
    reports = []
    for name, layer in layers.items():
        scale = max(float(largest[name]), SMALLEST) / E4M3_MAX
        x = kept[name].float()
        exact = F.linear(
            x, layer.weight.float(), None if layer.bias is None else layer.bias.float()
        )
        error = (rounded_linear(layer, x, scale, form) - exact).norm() / exact.norm()
        reports.append(LayerReport(name, scale, float(error)))
    return Calibration(form, tuple(reports), excluded)


@contextmanager
def rounded(networks: Networks, calibration: Calibration) -> Iterator[None]:
    """Within, the calibrated layers give what they would in that format (slowly)."""
    scales = {report.layer: report.input_scale for report in calibration.layers}

    def hook(scale: float) -> Callable[..., Tensor]:
        def replace(layer: nn.Linear, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
            flat = rounded_linear(layer, inputs[0].flatten(0, -2), scale, calibration.format)
            return flat.view_as(out).to(out.dtype)

        return replace

    handles = [
        layer.register_forward_hook(hook(scales[name]))
        for name, layer in linear_layers(networks.dit)
        if name in scales
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
