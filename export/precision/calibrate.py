"""Post-training calibration of the DiT's linear layers in FP8 (E4M3) while it runs.

Every layer's input range is measured over all its calls; then the layer is run again with rounded
weights and inputs on rows kept of its latest calls, and its error reported. Layers that stay as
they are, are listed with the reason. The networks are not changed.

Shapes: L rows of input, I inputs and O outputs of a layer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from c2r.kernels.fp8 import E4M3_MAX, KEPT, SMALLEST, channel_scales, round_e4m3
from c2r.models.build import Networks

CALLS, ROWS = 32, 16
"""A layer's error is measured on its latest 32 calls, 16 evenly spread rows of each."""


@dataclass(frozen=True)
class LayerReport:
    """One linear layer. `error`: |rounded - exact| / |exact| of its output, on the kept rows.

    `input_scale`: largest |input| seen / 448, the scale of its input in FP8.
    """

    layer: str
    input_scale: float
    error: float


@dataclass(frozen=True)
class Calibration:
    """The scales of a DiT's layers and what they cost. `excluded`: layer -> why it is left."""

    layers: tuple[LayerReport, ...]
    excluded: dict[str, str]
    format: str = "fp8"

    @classmethod
    def from_manifest(cls, kept: Mapping[str, Any]) -> Calibration:
        """The calibration inside the manifest of an FP8 build."""
        content = kept["calibration"]
        layers = tuple(LayerReport(**layer) for layer in content["layers"])
        return cls(layers, dict(content["excluded"]))


def reason_to_keep(name: str, more: Iterable[str]) -> str | None:
    """Why a layer is left as it is, or None. `more`: patterns that the caller adds."""
    for pattern, reason in (*KEPT.items(), *((pattern, "as asked") for pattern in more)):
        if fnmatch(name, pattern):
            return reason
    return None


def linear_layers(module: nn.Module) -> Iterator[tuple[str, nn.Linear]]:
    """Every linear layer and its name."""
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Linear):
            yield name, layer


def rounded_linear(layer: nn.Linear, x: Tensor, scale: float) -> Tensor:
    """What the layer would give with rounded inputs `[L, I]` and weights: `[L, O]` float32."""
    weight = layer.weight.float()
    inputs, weight = round_e4m3(x, scale), round_e4m3(weight, channel_scales(weight))
    return F.linear(inputs, weight, None if layer.bias is None else layer.bias.float())


@dataclass
class _Seen:
    """What went into one layer: the largest magnitude of all, and some rows of the latest calls."""

    largest: Tensor | None = None
    rows: deque[Tensor] = field(default_factory=lambda: deque(maxlen=CALLS))

    def take(self, x: Tensor) -> None:
        top = x.abs().amax().float()
        self.largest = top if self.largest is None else torch.maximum(self.largest, top)
        self.rows.append(x[:: max(1, len(x) // ROWS)][:ROWS].clone())


@contextmanager
def _watching(layers: dict[str, nn.Linear], seen: dict[str, _Seen]) -> Iterator[None]:
    def hook(name: str) -> Callable[..., None]:
        return lambda _, inputs: seen[name].take(inputs[0].detach().flatten(0, -2))

    handles = [layer.register_forward_pre_hook(hook(name)) for name, layer in layers.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def split_layers(
    networks: Networks, exclude: Iterable[str] = ()
) -> tuple[dict[str, nn.Linear], dict[str, str]]:
    """The DiT's linear layers that are calibrated, by name, and why each other one is not.

    `ValueError` for a pattern of `exclude` that no layer has.
    """
    more = tuple(exclude)
    every = dict(linear_layers(networks.dit))
    idle = [pattern for pattern in more if not any(fnmatch(name, pattern) for name in every)]
    if idle:
        raise ValueError(
            f"--exclude {idle[0]} names no linear layer of the DiT; names are like blocks.0.ffn.2, "
            "and * stands for anything"
        )
    reasons = {name: reason_to_keep(name, more) for name in every}
    kept = {name: reason for name, reason in reasons.items() if reason is not None}
    return {name: every[name] for name in every if name not in kept}, kept


@torch.no_grad()
def calibrate(
    networks: Networks,
    stream: Callable[[], object],
    *,
    exclude: Iterable[str] = (),
) -> Calibration:
    """Calibrate the DiT while `stream` runs it.

    `ValueError` when a layer was never run, since the scales would mean nothing.
    """
    layers, excluded = split_layers(networks, exclude)
    seen = {name: _Seen() for name in layers}
    with _watching(layers, seen):
        stream()
    silent = [name for name, inputs in seen.items() if inputs.largest is None]
    if silent:
        raise ValueError(
            f"calibration never ran {', '.join(silent[:3])}: stream at least one chunk"
        )
    reports = tuple(_report(name, layer, seen[name]) for name, layer in layers.items())
    return Calibration(reports, excluded)


def _report(name: str, layer: nn.Linear, seen: _Seen) -> LayerReport:
    assert seen.largest is not None
    scale = max(float(seen.largest), SMALLEST) / E4M3_MAX
    x = torch.cat([*seen.rows]).float()
    bias = None if layer.bias is None else layer.bias.float()
    exact = F.linear(x, layer.weight.float(), bias)
    error = (rounded_linear(layer, x, scale) - exact).norm() / exact.norm().clamp_min(SMALLEST)
    return LayerReport(name, scale, float(error))


@contextmanager
def rounded(networks: Networks, calibration: Calibration) -> Iterator[None]:
    """Within, the calibrated layers give what they would in FP8 (slowly)."""
    scales = {report.layer: report.input_scale for report in calibration.layers}

    def hook(scale: float) -> Callable[..., Tensor]:
        def replace(layer: nn.Linear, inputs: tuple[Tensor, ...], out: Tensor) -> Tensor:
            flat = rounded_linear(layer, inputs[0].flatten(0, -2), scale)
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
